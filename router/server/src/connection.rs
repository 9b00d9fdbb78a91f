//! One task per socket. It moves bytes: what the router sent goes out, what the client sent goes in.
//!
//! Written as one hand-made future: reading and writing never wait for each other, and the task is as large
//! as its fields and no larger.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use router::{Close, Frame, Input, Violation};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
    time::{Sleep, sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error, Message,
        error::ProtocolError,
        protocol::{
            CloseFrame, WebSocketConfig,
            frame::{
                self, Utf8Bytes,
                coding::{Data, OpCode},
            },
        },
    },
};

use crate::driver::{Admission, Outgoing, Presence};

/// Messages read before what they caused is written: one flush for several small replies.
const READS_PER_TURN: usize = 8;
/// How long the last frames and the close frame may take to leave.
const CLOSE_WRITE: Duration = Duration::from_secs(3);
/// How long the peer may take to answer the close frame.
const CLOSE_READ: Duration = Duration::from_secs(1);
/// Buffers of an idle connection are its memory, so they are small.
const BUFFER_BYTES: usize = 4096;

/// Limits of the WebSocket layer for inbound messages and outbound frames of these sizes.
pub(crate) fn websocket_config(inbound_bytes_max: u32, outbound_bytes_max: u32) -> WebSocketConfig {
    let inbound = Some(inbound_bytes_max as usize);
    WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        // A frame is only fed into an empty or small buffer; the rest is room for pongs.
        .max_write_buffer_size(outbound_bytes_max as usize + 8 * BUFFER_BYTES)
        .max_message_size(inbound)
        .max_frame_size(inbound)
        .accept_unmasked_frames(false)
}

/// A WebSocket on its way from its admission to its end. Await it.
pub(crate) struct Connection<S> {
    ws: WebSocketStream<S>,
    /// `None` once nothing more will come.
    outbox: Option<mpsc::Receiver<Outgoing>>,
    /// Taken from the outbox and not yet fed; at most one socket window. Taking ahead of a blocked write is
    /// how a close is noticed behind it.
    backlog: VecDeque<Outgoing>,
    /// Frames fed since the last report.
    unreported: u32,
    /// Something was fed since the last flush.
    unflushed: bool,
    reading: bool,
    leaving: bool,
    stage: Stage,
    patience: Option<Pin<Box<Sleep>>>,
    /// `None` for a socket that was turned away. Last, so that the socket is gone before the router hears it.
    presence: Option<Presence>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The close frame was fed.
    CloseFed,
    /// Everything is out: the write half is shut, what still comes is thrown away.
    Lingering,
    /// As before, with the write half shut.
    Shut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(ws: WebSocketStream<S>, admission: Admission) -> Self {
        let mut this = Self {
            ws,
            outbox: None,
            backlog: VecDeque::new(),
            unreported: 0,
            unflushed: false,
            reading: true,
            leaving: false,
            stage: Stage::Open,
            patience: None,
            presence: None,
        };
        match admission {
            Admission::Accepted(presence, outbox) => {
                this.presence = Some(presence);
                this.outbox = Some(outbox);
            }
            Admission::Refused(frame, close) => {
                this.backlog.extend([Outgoing::Frame(frame), Outgoing::Close(close)]);
                this.leave();
            }
        }
        this
    }

    /// Ready with `true` once the close frame is out, with `false` if the socket is of no more use.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.take(cx);
            match self.poll_write(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Ready(Ok(())) if self.stage == Stage::CloseFed => return Poll::Ready(true),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            let abandoned = self.outbox.is_none() && !self.leaving;
            if abandoned || self.poll_patience(cx).is_ready() {
                return Poll::Ready(false);
            }
            if !self.reading {
                return Poll::Pending;
            }
            if !ready!(self.poll_read(cx)) {
                return Poll::Ready(false);
            }
        }
    }

    fn take(&mut self, cx: &mut Context<'_>) {
        while let Some(outbox) = &mut self.outbox {
            match outbox.poll_recv(cx) {
                Poll::Ready(Some(next)) => {
                    if matches!(next, Outgoing::Close(_)) {
                        self.leave();
                    }
                    self.backlog.push_back(next);
                }
                Poll::Ready(None) => self.outbox = None,
                Poll::Pending => return,
            }
        }
    }

    /// Feeds what waits, flushes, and reports what the operating system took.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            // Flushing first empties the buffer of pongs too, so that feeding never finds it full.
            if self.unflushed || !self.backlog.is_empty() {
                ready!(self.ws.poll_flush_unpin(cx))?;
                self.unflushed = false;
                self.report_written();
            }
            if self.backlog.is_empty() {
                return Poll::Ready(Ok(()));
            }
            while let Some(next) = self.backlog.pop_front() {
                let message = self.encode(next);
                self.ws.start_send_unpin(message)?;
                self.unflushed = true;
                ready!(self.ws.poll_ready_unpin(cx))?;
            }
        }
    }

    fn encode(&mut self, next: Outgoing) -> Message {
        match next {
            Outgoing::Frame(text) => {
                self.unreported += 1;
                text_message(&text)
            }
            Outgoing::Ping => Message::Ping(Bytes::new()),
            Outgoing::Close(close) => {
                self.backlog.clear();
                self.stage = Stage::CloseFed;
                close_message(close)
            }
        }
    }

    fn report_written(&mut self) {
        let frames = std::mem::take(&mut self.unreported);
        if let Some(presence) = self.presence.as_ref().filter(|_| frames > 0) {
            presence.input(Input::Written { conn: presence.conn(), frames });
        }
    }

    /// Ready with `true` after a few messages, with `false` at the end of the socket.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        for turn in 0..READS_PER_TURN {
            match self.ws.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(message))) => self.hand_in(message),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.violation(&error)),
                Poll::Ready(None) => return Poll::Ready(false),
                Poll::Pending if turn == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(true)
    }

    fn hand_in(&mut self, message: Message) {
        let Some(presence) = &self.presence else { return };
        let conn = presence.conn();
        match message {
            Message::Text(text) => presence.input(Input::Text { conn, text: text.as_str() }),
            Message::Binary(_) => presence.input(Input::Binary { conn }),
            // The library answers a ping by itself; that the client lives, both say.
            Message::Ping(_) | Message::Pong(_) => presence.input(Input::Pong { conn }),
            Message::Close(_) => {
                // The library answers on the next read, which is also the last.
                self.outbox = None;
                self.backlog.clear();
                self.leaving = true;
                self.patience = Some(Box::pin(sleep(CLOSE_READ)));
            }
            Message::Frame(_) => {}
        }
    }

    /// Whether the router shall answer: then it closes, with the code that fits.
    fn violation(&mut self, error: &Error) -> bool {
        let (Some(kind), Some(presence)) = (violation_of(error), &self.presence) else { return false };
        presence.input(Input::Violation { conn: presence.conn(), kind });
        self.leave();
        true
    }

    /// Nothing is read any more, and the rest has its time limit.
    fn leave(&mut self) {
        self.reading = false;
        self.leaving = true;
        self.patience = Some(Box::pin(sleep(CLOSE_WRITE)));
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.patience {
            Some(patience) => patience.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Closing with unread bytes would reset the connection and could cost the peer our close frame; so they
    /// are read, for a moment. Below the WebSocket layer, which may have given up on them.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_patience(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.stage == Stage::Lingering && Pin::new(self.ws.get_mut()).poll_shutdown(cx).is_ready() {
            self.stage = Stage::Shut;
        }
        let mut waste = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(self.ws.get_mut()).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if matches!(this.stage, Stage::Open | Stage::CloseFed) {
            if !ready!(this.poll_open(cx)) {
                return Poll::Ready(());
            }
            this.stage = Stage::Lingering;
            this.patience = Some(Box::pin(sleep(CLOSE_READ)));
        }
        this.poll_linger(cx)
    }
}

/// A text frame that shares the router's bytes; they are UTF-8 by construction and not checked again.
fn text_message(text: &Frame) -> Message {
    Message::Frame(frame::Frame::message(text.bytes().clone(), OpCode::Data(Data::Text), true))
}

fn close_message(close: Close) -> Message {
    let reason = Utf8Bytes::from_static(close.reason());
    Message::Close(Some(CloseFrame { code: close.code().into(), reason }))
}

/// `None` if the socket is simply gone.
fn violation_of(error: &Error) -> Option<Violation> {
    match error {
        Error::Capacity(_) => Some(Violation::TooBig),
        Error::Utf8(_) => Some(Violation::InvalidUtf8),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) | Error::AttackAttempt => Some(Violation::Protocol),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => None,
    }
}
