//! How the engine comes to a runner: it greets one that it finds, or starts one.

use std::collections::BTreeSet;
use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tracing::{info, warn};

use super::Link;
use crate::inherited::inherited;
use crate::runner::frame::{FrameError, Frames, Hands, PROTOCOL, ToEngine, ToRunner, encode};
use crate::runner::limits::GREETING;
use crate::runner::{build, socket, start};

/// A runner that let us in.
pub(super) struct Greeted {
    pub(super) frames: Frames<OwnedReadHalf>,
    pub(super) writer: OwnedWriteHalf,
    pub(super) welcome: Welcome,
    /// Whether it runs another program than we do: then it is replaced when it has nothing to do.
    pub(super) is_other: bool,
}

/// What a runner said of itself as it let us in.
pub(super) struct Welcome {
    pub(super) running: BTreeSet<String>,
    pub(super) id: String,
    pub(super) over: BTreeSet<String>,
    pub(super) lives: BTreeSet<String>,
    pub(super) lingering: BTreeSet<String>,
}

/// Whether a runner is started where none is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Find,
    FindOrStart,
}

impl Link {
    pub(super) async fn find(&self, wish: Wish) -> Result<Option<Greeted>, Failed> {
        if let Some(stream) = socket::connect(&self.settings.storage)? {
            match self.greet(stream).await {
                Ok(greeted) if self.is_fit(&greeted) => return Ok(Some(greeted)),
                Ok(mut greeted) => {
                    info!("runner of another build has nothing to do, and is replaced");
                    let leave = encode(&ToRunner::Leave)?;
                    // It ends by itself in any case.
                    let _ = greeted.writer.write_all(&leave).await;
                }
                Err(error @ Failed::Outdated { .. }) => return Err(error),
                Err(error) => {
                    info!(%error, "runner that was found is left to end by itself");
                    // Before anything is taken as not started that it may have been told.
                    socket::retire(&self.settings.storage)?;
                }
            }
        }
        match wish {
            Wish::Find => Ok(None),
            Wish::FindOrStart => self.start().await.map(Some),
        }
    }

    fn is_fit(&self, greeted: &Greeted) -> bool {
        let busy = !greeted.welcome.running.is_empty() || !self.state.lock().waiting.is_empty();
        !greeted.is_other || busy
    }

    async fn start(&self) -> Result<Greeted, Failed> {
        let mut child = start::start(&self.settings.storage, &self.settings.program)?;
        let pid = child.id().unwrap_or_default();
        tokio::spawn(async move {
            // Waited for, so that no zombie stays of it.
            match child.wait().await {
                Ok(status) => info!(pid, %status, "runner ended"),
                Err(error) => warn!(pid, %error, "runner cannot be waited for"),
            }
        });
        let stream = socket::connect(&self.settings.storage)?.ok_or(Failed::Silent)?;
        let greeted = self.greet(stream).await?;
        self.tally.started();
        info!(pid, "runner started");
        Ok(greeted)
    }

    async fn greet(&self, stream: UnixStream) -> Result<Greeted, Failed> {
        if !socket::is_trusted(&stream)? {
            return Err(Failed::Stranger);
        }
        let (reader, mut writer) = stream.into_split();
        let (own, fence) = (build(), self.settings.fence);
        let hello = ToRunner::Hello {
            protocol: PROTOCOL,
            fence,
            build: own.clone(),
            environment: inherited().collect(),
            life: Some(Hands {
                life: self.settings.life.to_string(),
                handed: self.state.lock().handed.clone(),
            }),
        };
        let hello = encode(&hello)?;
        let mut frames = Frames::new(reader);
        let greeting = async {
            writer.write_all(&hello).await?;
            frames.next::<ToEngine>().await
        };
        let answer = timeout(GREETING, greeting).await.map_err(|_| Failed::Silent)??;
        let Some(ToEngine::Welcome {
            protocol,
            build,
            fence: seen,
            running,
            id,
            over,
            lives,
            lingering,
        }) = answer
        else {
            return Err(Failed::Silent);
        };
        if seen > fence {
            return Err(Failed::Outdated { fence, seen });
        }
        if protocol != PROTOCOL {
            return Err(Failed::Protocol { protocol });
        }
        let set = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
        let (running, over) = (set(running), set(over));
        let (lives, lingering) = (set(lives), set(lingering));
        let welcome = Welcome { running, id, over, lives, lingering };
        Ok(Greeted { frames, writer, welcome, is_other: build != own })
    }
}

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("it did not answer")]
    Silent,
    #[error("another user serves the socket")]
    Stranger,
    #[error("it speaks protocol {protocol}, and we {PROTOCOL}")]
    Protocol { protocol: u32 },
    #[error(
        "a later engine (start {seen}, and this is start {fence}) was in command of it; \
         it ends when its actions have ended"
    )]
    Outdated { fence: u64, seen: u64 },
}
