//! A codec of your own: bytes, such as a rendered page or an image, are stored as they are.

#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::{convert::Infallible, error::Error, time::Duration};

use hitrate_cache::{BoxError, Cache, CachePolicy, Codec, test_util::TestRedis};

/// Stores bytes as they are. JSON writes each as a number.
#[derive(Clone, Copy)]
struct Raw;

impl Codec<Vec<u8>> for Raw {
    const ID: &'static str = "raw";

    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok(bytes.to_vec())
    }
}

/// Stands for the origin of an image.
async fn draw() -> Result<Vec<u8>, Infallible> {
    Ok(vec![200; 10_000])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = TestRedis::start()?;
    let cache = Cache::connect(&redis.url())?;
    let images = cache.namespace::<Vec<u8>>("image", CachePolicy::ttl(Duration::from_secs(300)));

    images.get("logo", draw()).await?;
    let as_json = redis.command(&["STRLEN", &images.full_key("logo")]);
    println!("10,000 bytes as JSON take {as_json} bytes");

    // An entry of another codec is a miss: it is loaded and overwritten.
    let images = images.codec(Raw);
    let lookup = images.lookup("logo", draw()).await?;
    println!("with the other codec: from {:?}", lookup.source);
    let as_raw = redis.command(&["STRLEN", &images.full_key("logo")]);
    println!("10,000 bytes as they are take {as_raw} bytes");
    let again = images.lookup("logo", draw()).await?;
    println!("then: from {:?}", again.source);
    Ok(())
}
