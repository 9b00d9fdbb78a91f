//! Round trips of 128 bytes between clients, each in a node of its own, and one server over madsim's TCP, 1 to 10 ms
//! each way.
//!
//! `peer-madsim CLIENTS ROUND_TRIPS`: round trips over all clients together. Prints how many there were. The processor
//! time is that of the whole process; whoever starts it measures it.

use std::{error::Error, io, net::SocketAddr, process::ExitCode, time::Duration};

use madsim::{
    net::{TcpListener, TcpStream},
    runtime::{Handle, Runtime},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SEED: u64 = 1;
const BYTES: usize = 128;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\nusage: peer-madsim CLIENTS ROUND_TRIPS");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<u64, Box<dyn Error>> {
    let [clients, round_trips] = args else { return Err("expected two arguments".into()) };
    let (clients, round_trips): (u64, u64) = (clients.parse()?, round_trips.parse()?);
    let each = round_trips / clients.max(1);
    let mut config = madsim::Config::default();
    config.net.send_latency = Duration::from_millis(1)..Duration::from_millis(10);
    let runtime = Runtime::with_seed_and_config(SEED, config);
    runtime.block_on(async move {
        let address: SocketAddr = "10.0.0.1:9000".parse()?;
        let handle = Handle::current();
        let server = handle.create_node().name("server").ip(address.ip()).build();
        server.spawn(serve(address));
        let mut tasks = Vec::new();
        for client in 0..clients {
            let ip = format!("10.1.{}.{}", client / 250, client % 250 + 1).parse()?;
            let node = handle.create_node().name(format!("client-{client}")).ip(ip).build();
            tasks.push(node.spawn(converse(address, each)));
        }
        let mut done = 0;
        for task in tasks {
            done += task.await??;
        }
        Ok(done)
    })
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        madsim::task::spawn(async move {
            let mut text = [0; BYTES];
            while stream.read_exact(&mut text).await.is_ok()
                && stream.write_all(&text).await.is_ok()
                && stream.flush().await.is_ok()
            {}
        });
    }
}

/// One client: so many round trips, one after the other.
async fn converse(server: SocketAddr, round_trips: u64) -> io::Result<u64> {
    let mut stream = loop {
        // The server's node may not listen yet.
        match TcpStream::connect(server).await {
            Ok(stream) => break stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                madsim::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(error),
        }
    };
    let (sent, mut received) = ([7; BYTES], [0; BYTES]);
    for _ in 0..round_trips {
        stream.write_all(&sent).await?;
        stream.flush().await?;
        stream.read_exact(&mut received).await?;
        if received != sent {
            return Err(io::Error::other("the echo differs"));
        }
    }
    Ok(round_trips)
}
