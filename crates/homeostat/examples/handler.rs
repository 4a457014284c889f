//! An engine with one handler: the least that there is to write.
//!
//! It reads `homeostat.yml`, whose remedy says `call: move-primary`.

#![expect(clippy::print_stdout, reason = "this is what the handler does")]

use std::net::SocketAddr;

use homeostat::{Action, App, Outcome};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listen: SocketAddr =
        std::env::var("LISTEN").as_deref().unwrap_or("127.0.0.1:9999").parse()?;
    App::from_file("homeostat.yml")?
        .listen(listen)
        .action("move-primary", |order: Action| async move {
            println!("moving the primary away from {}", order.label("instance")?);
            Ok(Outcome::done())
        })
        .run()
        .await
}
