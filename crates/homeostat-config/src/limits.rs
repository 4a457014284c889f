//! Every bound of the configuration in one place, each with its reason.

use homeostat_core::time::Span;

/// Bytes of a configuration, all of its files together. Ten thousand policies take about four MiB.
pub const FILE_BYTES: usize = 16 * 1024 * 1024;

/// Files of a configuration: more than anybody has who keeps each policy in one.
pub const FILES: usize = 10_000;

/// Nodes of a configuration once its aliases are written out. Ten thousand policies have about half a
/// million; aliases of aliases would make billions of a few lines.
pub const NODES: usize = 2_000_000;

/// How deep a file may be nested; ours are seven levels deep.
pub const DEPTH: usize = 64;

/// Policies of a book.
pub const POLICIES: usize = 20_000;

/// Characters of a name: it is a label's value, a metric's label and part of a directory's name.
pub const NAME_CHARS: usize = 63;

/// Parts of one time interval. A moment is compared with all of them.
pub const INTERVAL_PARTS: usize = 32;

/// Time intervals that one policy names.
pub const FREEZE_INTERVALS: usize = 16;

/// The highest threshold of a penalty for flapping.
pub const FLAP_THRESHOLD: u32 = 1_000_000;

/// Channels by which people are told; each keeps what it is owed.
pub const CHANNELS: usize = 32;

/// How long one try to tell may take, unless the channel says otherwise.
pub const CHANNEL_TIMEOUT: Span = Span::from_secs(10);

/// How long one try to tell may take at most.
pub const CHANNEL_TIMEOUT_MAX: Span = Span::from_secs(300);

/// Collectors of a policy, and of a remedy: all of them look at the same time.
pub const COLLECTORS: usize = 8;

/// Patterns of what is a secret. Each is looked for in all that collectors find.
pub const REDACTED: usize = 64;

/// The most lines of a pod's log that a collector asks for.
pub const LOG_LINES: u32 = 10_000;

/// Tokens. Each is compared with what a request shows.
pub const TOKENS: usize = 256;

/// Grants. Each is looked at for a request.
pub const GRANTS: usize = 1024;

/// How long a sign-in by a provider lasts, unless the configuration says otherwise: nobody is asked
/// again before whether that person is still one of ours.
pub const OIDC_SESSION: Span = Span::from_secs(8 * 3600);

/// How short it may be: whoever is sent to the provider all the time looks no longer at what it asks.
pub const OIDC_SESSION_MIN: Span = Span::from_secs(300);

/// How long it may be: no session lasts for longer.
pub const OIDC_SESSION_MAX: Span = Span::from_secs(12 * 3600);

/// Secrets by which the notifications of a webhook may be signed. Each is tried for each of them.
pub const HMAC_SECRETS: usize = 8;

/// By how much the time of a signature may differ from our clock, unless the webhook says otherwise.
pub const HMAC_TOLERANCE: Span = Span::from_secs(300);

/// By how much it may differ at most: for so long, what was seen is remembered.
pub const HMAC_TOLERANCE_MAX: Span = Span::from_secs(3600);

/// Labels, and as many annotations, that a policy puts on its notices.
pub const CARRIED: usize = 32;

/// Bytes of one of their values. It is written with each notice.
pub const CARRIED_BYTES: usize = 1024;

/// Retries of one remedy. Whoever needs more wants another remedy.
pub const RETRIES: u32 = 100;

/// Errors that are collected, and as many warnings; whoever has more mends these first.
pub const PROBLEMS_KEPT: usize = 1_000;

/// Bytes of one message; what is longer is not read.
pub const MESSAGE_BYTES: usize = 1_000;

/// Problems that are shown to a person at once.
pub const PROBLEMS_SHOWN: usize = 50;

/// How long a policy test may go on, in its own time. What waits is looked at each minute or so: a
/// month takes about a second.
pub const TEST_TIME: Span = Span::from_secs(30 * 86_400);
