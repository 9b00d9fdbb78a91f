//! Round trips of 128 bytes between clients and one server over turmoil's TCP, 1 to 10 ms each way.
//!
//! `peer-turmoil each|one CLIENTS ROUND_TRIPS`: each client in a host of its own, or all in one host; round trips over
//! all clients together. Prints how many there were. The processor time is that of the whole process; whoever starts
//! it measures it.

use std::{cell::Cell, error::Error, net::Ipv4Addr, process::ExitCode, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::{JoinSet, spawn_local},
};
use turmoil::{
    Builder, Sim,
    net::{TcpListener, TcpStream},
};

const SEED: u64 = 1;
const PORT: u16 = 9000;
const BYTES: usize = 128;

type Fallible<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\nusage: peer-turmoil each|one CLIENTS ROUND_TRIPS");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Fallible<u64> {
    let [hosts, clients, round_trips] = args else { return Err("expected three arguments".into()) };
    let (clients, round_trips): (u64, u64) = (clients.parse()?, round_trips.parse()?);
    let each = round_trips / clients.max(1);
    let mut sim: Sim<'_> = Builder::new()
        .rng_seed(SEED)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(10))
        .simulation_duration(Duration::from_secs(86_400))
        .build();
    sim.host("server", serve);
    let done = Rc::new(Cell::new(0));
    match hosts.as_str() {
        "each" => {
            for client in 0..clients {
                let done = done.clone();
                sim.client(format!("client-{client}"), async move {
                    let made = converse(each).await?;
                    done.set(done.get() + made);
                    Ok(())
                });
            }
        }
        "one" => {
            let done = done.clone();
            sim.client("clients", async move {
                let mut tasks = JoinSet::new();
                for _ in 0..clients {
                    tasks.spawn_local(async move { converse(each).await.map_err(|error| error.to_string()) });
                }
                while let Some(ended) = tasks.join_next().await {
                    done.set(done.get() + ended??);
                }
                Ok(())
            });
        }
        other => return Err(format!("expected `each` or `one`, got `{other}`").into()),
    }
    sim.run()?;
    Ok(done.get())
}

async fn serve() -> Fallible {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        spawn_local(async move {
            let mut text = [0; BYTES];
            while stream.read_exact(&mut text).await.is_ok() && stream.write_all(&text).await.is_ok() {}
        });
    }
}

/// One client: so many round trips, one after the other.
async fn converse(round_trips: u64) -> Fallible<u64> {
    let mut stream = TcpStream::connect(("server", PORT)).await?;
    let (sent, mut received) = ([7; BYTES], [0; BYTES]);
    for _ in 0..round_trips {
        stream.write_all(&sent).await?;
        stream.read_exact(&mut received).await?;
        if received != sent {
            return Err("the echo differs".into());
        }
    }
    Ok(round_trips)
}
