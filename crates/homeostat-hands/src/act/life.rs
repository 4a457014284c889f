//! One start of an engine, as the orders that it issues remember it.
//!
//! An order's own id begins anew with each journal, and comes again after a backup was restored. So
//! the directory of an order is named by its id *and* by a token that is drawn at each start of an
//! engine and that the order carries in the journal: no order ever meets the records of another.
//!
//! ```text
//!  journal: order 17.restart.1, issued in  5b1c…d2e7/9f3a60c1b24d
//!  disk:    orders/17.restart.1-9f3a60c1b24d/
//! ```
//!
//! Orders of earlier programs carry the boot alone, and their directories their id alone.

use std::fmt;
use std::fs;
use std::io;
use std::sync::OnceLock;

use homeostat_core::name::BootId;
use rustix::rand::{GetRandomFlags, getrandom};

/// Between the boot and the token.
const SEPARATOR: char = '/';

/// Hexadecimal digits of a token.
const TOKEN: usize = 12;

/// One start of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    boot: String,
    token: Option<String>,
}

impl Life {
    /// Begins one, in this boot of the machine.
    ///
    /// # Errors
    ///
    /// The kernel does not tell the boot, or draws no token.
    pub fn begin() -> io::Result<Self> {
        let boot = current_boot()?.as_str().to_owned();
        let uuid = draw()?;
        let digits = uuid.chars().filter(char::is_ascii_hexdigit).take(TOKEN);
        Ok(Self { boot, token: Some(digits.collect()) })
    }

    /// Reads what an order carries.
    pub fn of(issued_in: &BootId) -> Self {
        let text = issued_in.as_str();
        match text.split_once(SEPARATOR) {
            Some((boot, token)) => Self { boot: boot.into(), token: Some(token.into()) },
            None => Self { boot: text.into(), token: None },
        }
    }

    /// What an order carries of it.
    pub fn mark(&self) -> BootId {
        BootId::new(self.to_string())
    }

    /// The name of an order that was issued in it: of its directory, and of its run.
    pub fn name(&self, order: &str) -> String {
        match &self.token {
            Some(token) => format!("{order}-{token}"),
            None => order.to_owned(),
        }
    }

    /// Whether the machine was not started anew since.
    pub(super) fn is_of_this_boot(&self) -> io::Result<bool> {
        Ok(current_boot()?.as_str() == self.boot)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.boot)?;
        self.token.as_ref().map_or(Ok(()), |token| write!(f, "{SEPARATOR}{token}"))
    }
}

/// Draws what nobody else has: a UUID of version 4.
///
/// # Errors
///
/// The kernel draws nothing.
///
/// Source: RFC 9562.
pub fn draw() -> io::Result<String> {
    let mut bytes = [0; 16];
    if getrandom(&mut bytes, GetRandomFlags::empty())? != bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|group| &digits[group]);
    Ok(groups.join("-"))
}

/// Returns the id that the kernel drew when this machine was started.
///
/// # Errors
///
/// It cannot be read. No claim can be judged then, so nothing may be started.
pub fn current_boot() -> io::Result<BootId> {
    // No process outlives its boot.
    static BOOT: OnceLock<BootId> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| BootId::new(id.trim_end())).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_a_uuid_and_never_drawn_again() {
        let drawn = draw().unwrap();
        let lengths: Vec<usize> = drawn.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{drawn}");
        assert!(drawn.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f')), "{drawn}");
        assert!(drawn[14..].starts_with('4') && "89ab".contains(&drawn[19..20]), "{drawn}");
        assert_ne!(draw().unwrap(), drawn);
    }

    #[test]
    fn two_starts_never_share_a_name_and_what_an_order_carries_tells_its_own() {
        let (first, second) = (Life::begin().unwrap(), Life::begin().unwrap());
        assert_ne!(first.name("1.restart.1"), second.name("1.restart.1"));
        assert_eq!(Life::of(&first.mark()), first);
        assert!(first.is_of_this_boot().unwrap());
        assert_eq!(first.name("1.restart.1").len(), "1.restart.1-".len() + TOKEN);
    }

    #[test]
    fn an_order_of_an_earlier_program_has_its_id_alone_as_its_name() {
        let earlier = Life::of(&BootId::new("5b1c"));
        assert_eq!(
            (earlier.name("1.restart.1").as_str(), earlier.mark().as_str()),
            ("1.restart.1", "5b1c")
        );
        assert!(!earlier.is_of_this_boot().unwrap());
    }
}
