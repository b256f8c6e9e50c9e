//! A simulated network: forwards bytes between a client and Redis with a delay in
//! each direction.
//!
//! The client's end is a socket pair inside this process, so it opens no way to
//! Redis for others. The network has latency but unlimited bandwidth: bytes that
//! are sent together arrive together.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixStream,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use redis::ConnectionAddr;

use crate::redis::{Address, supervisor};

/// Bytes read at once, and the number of such chunks in flight.
const CHUNK: usize = 64 * 1024;
const MAX_CHUNKS: usize = 1_024;
/// A sleeping thread may wake this much late, so it spins for the last part.
const MAX_OVERSLEEP: Duration = Duration::from_micros(120);

/// Some bytes, and when they are due.
type DelayedChunk = (Instant, Vec<u8>);

/// Connects to `address`, and returns the client's end of a connection on which
/// every byte takes `one_way` to the other end. Doesn't support TLS, whose ends are
/// inside the drivers.
pub fn start(address: &Address, one_way: Duration) -> io::Result<UnixStream> {
    let (client, ours) = UnixStream::pair()?;
    let (from_client, to_client) = (ours.try_clone()?, ours);
    match address.info().addr() {
        ConnectionAddr::Unix(path) => {
            let server = UnixStream::connect(path)?;
            let (end, to_server) = (server.try_clone()?, server.try_clone()?);
            forward(from_client, to_server, one_way, move || end.shutdown(Shutdown::Write))?;
            let end = to_client.try_clone()?;
            forward(server, to_client, one_way, move || end.shutdown(Shutdown::Both))?;
        }
        ConnectionAddr::Tcp(host, port) => {
            let server = connect(host, *port)?;
            server.set_nodelay(true)?;
            let (end, to_server) = (server.try_clone()?, server.try_clone()?);
            forward(from_client, to_server, one_way, move || end.shutdown(Shutdown::Write))?;
            let end = to_client.try_clone()?;
            forward(server, to_client, one_way, move || end.shutdown(Shutdown::Both))?;
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    }
    client.set_nonblocking(true)?;
    Ok(client)
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, supervisor::CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Forwards one direction until its source ends; both threads then end.
fn forward(
    from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
    one_way: Duration,
    end: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let (sender, chunk) = sync_channel(MAX_CHUNKS);
    let thread = || thread::Builder::new().name("delay-proxy".to_owned());
    thread().spawn(move || read_chunks(from, &sender, one_way))?;
    thread().spawn(move || {
        let _ = deliver(to, &chunk);
        let _ = end();
    })?;
    Ok(())
}

fn read_chunks(mut from: impl Read, sender: &SyncSender<DelayedChunk>, one_way: Duration) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let chunk = (Instant::now() + one_way, buffer[..length].to_vec());
        if sender.send(chunk).is_err() {
            return;
        }
    }
}

fn deliver(mut to: impl Write, chunk: &Receiver<DelayedChunk>) -> io::Result<()> {
    for (due, bytes) in chunk {
        wait_until(due);
        to.write_all(&bytes)?;
    }
    Ok(())
}

fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if left > MAX_OVERSLEEP {
        thread::sleep(left - MAX_OVERSLEEP);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}
