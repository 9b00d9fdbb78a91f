//! The connection that listens: one channel per node, for all its users.

use bytes::Bytes;
use futures_util::StreamExt;
use redis::{Client, Msg};
use router::store::{Event, Node, Wake, Way};
use tokio::{
    sync::mpsc,
    time::{Instant as Moment, interval_at, sleep, timeout},
};

use super::{
    StoreConfig, StoreEvent,
    encode::{channel, user_of},
};

/// The node's end of the connection that listens.
pub(super) struct Wakes {
    client: Client,
    config: StoreConfig,
    node: Node,
    events: mpsc::UnboundedSender<StoreEvent>,
}

impl Wakes {
    pub(super) const fn new(
        client: Client,
        config: StoreConfig,
        node: Node,
        events: mpsc::UnboundedSender<StoreEvent>,
    ) -> Self {
        Self { client, config, node, events }
    }

    /// Subscribes, listens, subscribes again; until nobody hears any more.
    pub(super) async fn run(self) {
        let mut pause = self.config.reconnect_first;
        while !self.events.is_closed() {
            if self.listen().await {
                pause = self.config.reconnect_first;
                self.tell(StoreEvent::Way(Way::Deaf));
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.config.reconnect_max);
        }
    }

    /// Listens until the connection ends. Whether it ever began.
    async fn listen(&self) -> bool {
        let patience = self.config.connect_timeout;
        let subscribed = async {
            let mut listener = self.client.get_async_pubsub().await?;
            listener.subscribe(channel(&self.node)).await?;
            redis::RedisResult::Ok(listener)
        };
        let Ok(Ok(listener)) = timeout(patience, subscribed).await else { return false };
        self.tell(StoreEvent::Way(Way::Listening));
        let (mut sink, mut messages) = listener.split();
        // A connection on which nothing comes may be half open: it is asked.
        let every = self.config.silence_timeout;
        let mut ask = interval_at(Moment::now() + every, every);
        loop {
            tokio::select! {
                biased;
                message = messages.next() => match message {
                    Some(message) => {
                        if let Some(wake) = read(&message) {
                            self.tell(StoreEvent::Woken(wake));
                        }
                    }
                    None => return true,
                },
                _ = ask.tick() => {
                    let answered = timeout(every, sink.ping::<redis::Value>()).await;
                    if !matches!(answered, Ok(Ok(_))) {
                        return true;
                    }
                }
            }
        }
    }

    fn tell(&self, event: StoreEvent) {
        // Whoever does not listen any more does not miss it.
        let _unheard = self.events.send(event);
    }
}

/// The wake that a message is; `None` for one that is none of ours.
fn read(message: &Msg) -> Option<Wake> {
    wake(Bytes::copy_from_slice(message.get_payload_bytes()))
}

/// A line of numbers (user, first cursor, first number in the run, length of the run's name, lengths of the frames), then
/// the run's name and the frames.
fn wake(mut payload: Bytes) -> Option<Wake> {
    let end = payload.iter().position(|byte| *byte == b'\n')?;
    let line = payload.split_to(end + 1);
    let mut line = std::str::from_utf8(&line[..end]).ok()?.split(' ');
    let user = user_of(line.next()?)?.into();
    let (cursor, seq): (u64, u64) = (line.next()?.parse().ok()?, line.next()?.parse().ok()?);
    let mut take = |length: &str| {
        let length: usize = length.parse().ok()?;
        (length <= payload.len()).then(|| payload.split_to(length))
    };
    let run: std::sync::Arc<str> = std::str::from_utf8(&take(line.next()?)?).ok()?.into();
    let mut events = Vec::new();
    for (n, length) in (0..).zip(line) {
        let frame = take(length)?;
        events.push(Event { cursor: cursor + n, run: run.clone(), seq: seq + n, frame });
    }
    (payload.is_empty() && !events.is_empty()).then_some(Wake { user, events })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_read_whole_or_not_at_all() {
        let good = b"YWRh 7 3 2 1 0 2\nr\xc3\xa9".as_slice();
        assert_eq!(wake(Bytes::from_static(good)), None, "shorter than it says");
        let good = b"YWRh 7 3 3 1 0 2\nr\xc3\xa9a\nb";
        let wake_of = |bytes: &[u8]| wake(Bytes::copy_from_slice(bytes));
        let read = wake_of(good).expect("well formed");
        assert_eq!(&*read.user, "ada");
        let events: Vec<_> = read
            .events
            .iter()
            .map(|event| (event.cursor, &*event.run, event.seq, &event.frame[..]))
            .collect();
        assert_eq!(
            events,
            [(7, "ré", 3, b"a".as_slice()), (8, "ré", 4, b"".as_slice()), (9, "ré", 5, b"\nb".as_slice())]
        );
        for end in 0..good.len() {
            assert_eq!(wake_of(&good[..end]), None, "the first {end} bytes");
        }
        assert_eq!(wake_of(b"YWRh 7 3 1\nr"), None, "no event");
    }
}
