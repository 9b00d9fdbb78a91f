//! A wire between a node and its store, which can be cut.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    thread,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Builder,
    sync::watch,
};

use super::StageError;

/// Bytes that are carried at once.
const BUFFER: usize = 64 * 1024;

/// What a wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Everything passes.
    Passes,
    /// Nothing passes, and nobody is told: what was sent waits.
    Stands,
    /// All connections break, and none is made.
    Cut,
}

/// Connections to one address, by way of another.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    flow: watch::Sender<Flow>,
}

impl Wire {
    /// Listens on a free port of this machine, and carries what comes to `far`. It works in a thread of its own.
    ///
    /// # Errors
    /// No port or no thread is to be had.
    pub fn to(far: SocketAddr) -> Result<Self, StageError> {
        let failed = |error| StageError::new("a wire", error);
        let listener = StdListener::bind("127.0.0.1:0").map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let (flow, watched) = watch::channel(Flow::Passes);
        let carry = move || runtime.block_on(carry(listener, far, watched));
        thread::Builder::new().name("wire".to_owned()).spawn(carry).map_err(failed)?;
        Ok(Self { address, flow })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it does that.
    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

/// Takes connections until the wire is dropped.
async fn carry(listener: StdListener, far: SocketAddr, mut flow: watch::Receiver<Flow>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut links = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                if let Ok((near, _)) = taken {
                    links.spawn(link(near, far, flow.clone()));
                }
            }
            Some(_) = links.join_next() => {}
            changed = flow.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Carries one connection to its end, or until it is cut.
async fn link(near: TcpStream, far: SocketAddr, flow: watch::Receiver<Flow>) {
    let mut cut = flow.clone();
    let carried = async {
        let far = TcpStream::connect(far).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let there = pass(near_in, far_out, flow.clone());
        tokio::select! {
            done = there => done,
            done = pass(far_in, near_out, flow) => done,
        }
    };
    tokio::select! {
        biased;
        // Either way both ends find their connection gone.
        _ = cut.wait_for(|flow| *flow == Flow::Cut) => {}
        _ = carried => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if flow.wait_for(|flow| *flow == Flow::Passes).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        time::Duration,
    };

    use super::*;

    #[test]
    fn a_wire_passes_stands_and_breaks() {
        let far = StdListener::bind("127.0.0.1:0").expect("a port");
        let wire = Wire::to(far.local_addr().expect("bound")).expect("a wire");
        let mut near = TcpStream::connect(wire.address()).expect("connects");
        let (mut there, _) = far.accept().expect("carried");
        let mut letter = [0; 1];
        near.write_all(b"a").expect("sent");
        there.read_exact(&mut letter).expect("passed");
        wire.set(Flow::Stands);
        near.write_all(b"b").expect("sent");
        there.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
        assert!(there.read_exact(&mut letter).is_err(), "it waits");
        there.set_read_timeout(None).expect("set");
        wire.set(Flow::Passes);
        there.read_exact(&mut letter).expect("passed");
        assert_eq!(&letter, b"b");
        wire.set(Flow::Cut);
        assert!(matches!(there.read(&mut letter), Ok(0) | Err(_)), "it is gone");
        assert!(matches!(near.read(&mut letter), Ok(0) | Err(_)), "at both ends");
    }
}
