//! Two processes with near caches: a write in one drops the copy in the other.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{
    env,
    error::Error,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hitrate_cache::{Cache, CachePolicy, Namespace, OnWrite, test_util::TestRedis};

const MINUTE: Duration = Duration::from_secs(60);

fn names(url: &str) -> Result<Namespace<String>, Box<dyn Error>> {
    let policy = CachePolicy::ttl(MINUTE).near(MINUTE).on_write(OnWrite::Store);
    Ok(Cache::connect(url)?.namespace("name", policy))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(url) => read(&url).await,
        None => write().await,
    }
}

/// The process that reads: prints a lookup for each line of its input.
async fn read(url: &str) -> Result<(), Box<dyn Error>> {
    let names = names(url)?;
    // Until Redis reports changes, the near cache keeps nothing.
    while !names.cache().health().is_tracking {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in io::stdin().lines() {
        let lookup = names.lookup(7, async { Err::<String, _>("the cache has it") }).await?;
        println!("{} from {:?}", lookup.value.unwrap_or_default(), lookup.source);
    }
    Ok(())
}

/// The process that writes, and asks the other one.
async fn write() -> Result<(), Box<dyn Error>> {
    let redis = TestRedis::start()?;
    let names = names(&redis.url())?;
    let mut command = Command::new(env::current_exe()?);
    let mut reader =
        command.arg(redis.url()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    for name in ["Ada", "Grace"] {
        names.write(7, async move { Ok::<_, io::Error>(name.to_owned()) }).await?;
        println!("this process has written {name}");
        // The push arrives a moment after the write.
        while !ask(&mut reader)?.starts_with(name) {}
        println!("the other process reads {}", ask(&mut reader)?);
    }
    drop(reader.stdin.take());
    reader.wait()?;
    Ok(())
}

fn ask(reader: &mut Child) -> Result<String, Box<dyn Error>> {
    let input = reader.stdin.as_mut().ok_or("no input")?;
    input.write_all(b"\n")?;
    let mut line = String::new();
    BufReader::new(reader.stdout.as_mut().ok_or("no output")?).read_line(&mut line)?;
    match line.trim_end() {
        "" => Err("the other process has ended".into()),
        line => Ok(line.to_owned()),
    }
}
