//! The output of an action: two files whose middle is left out where they grow too long.
//!
//! ```text
//!  while it runs   [ first half ][ freed, reads as zeros      ][ last half ] <- appended
//!  after the end   [ first half ][ "… bytes left out" ][ last half ]
//! ```
//!
//! The action appends to the file by itself. From outside we free what lies between the first and
//! the last half (`fallocate` with `PUNCH_HOLE`): that moves no byte and so cannot race with the
//! writer. Rejected: reading pipes (see the room's doc), and `RLIMIT_FSIZE`, which would also stop
//! a remedy that restores a large backup.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::claim::open_plain;
use super::limits::{LINE_CHARS, OUTPUT_MAX, TAIL_MAX};

pub(super) const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

const HALF: u64 = OUTPUT_MAX / 2;

/// Both outputs of one run, seen from outside.
#[derive(Debug)]
pub(super) struct Outputs {
    stdout: Output,
    stderr: Output,
}

/// Both outputs of one run, for the process to write to.
pub(super) struct Writers {
    pub(super) stdout: File,
    pub(super) stderr: File,
}

impl Outputs {
    /// Makes both files anew. Only whoever has the claim may do so.
    pub(super) fn create(directory: &Path) -> io::Result<(Self, Writers)> {
        let (stdout, out) = Output::create(&directory.join(STDOUT))?;
        let (stderr, err) = Output::create(&directory.join(STDERR))?;
        Ok((Self { stdout, stderr }, Writers { stdout: out, stderr: err }))
    }

    /// Whether there is something to trim.
    pub(super) fn are_long(&self) -> bool {
        [&self.stdout, &self.stderr].iter().any(|output| {
            output.file.metadata().is_ok_and(|file| output.excess(file.len()).is_some())
        })
    }

    /// Frees what is too long by now. Errors are not reported: an action must not fail, or wait,
    /// because its output cannot be trimmed, and the next trim tries again.
    pub(super) fn trim(&mut self) {
        let _ = self.stdout.trim();
        let _ = self.stderr.trim();
    }

    /// The end of both, read from the files that were made, whatever has their names by now.
    pub(super) fn tail(&self) -> Tail {
        tail_of(Some(&self.stdout.file), Some(&self.stderr.file), TAIL_MAX)
    }

    /// Gives both files their final form.
    pub(super) fn finish(&mut self) {
        let _ = self.stdout.finish();
        let _ = self.stderr.finish();
    }
}

#[derive(Debug)]
struct Output {
    file: File,
    /// Up to here the file is kept as it is.
    head: u64,
    /// Up to here, from `head`, it has been freed.
    freed: u64,
    /// How many bytes were cut off because the file system cannot free them.
    cut: u64,
}

impl Output {
    fn create(path: &Path) -> io::Result<(Self, File)> {
        // Nobody has the file yet: whoever has the claim makes it, before anything runs.
        let mut how = OpenOptions::new();
        let file = how.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let writer = OpenOptions::new().append(true).open(path)?;
        Ok((Self { file, head: HALF, freed: HALF, cut: 0 }, writer))
    }

    fn trim(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length < self.freed {
            // The action truncated its own output.
            self.freed = self.head;
        }
        let Some(excess) = self.excess(length) else { return Ok(()) };
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, how, excess.start, excess.end - excess.start) {
            Ok(()) => self.freed = excess.end,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.cut_off(length)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What can be freed of a file of this length, if it is worth a call.
    fn excess(&self, length: u64) -> Option<Range<u64>> {
        let end = length.saturating_sub(HALF);
        (end >= self.freed + HALF).then_some(self.freed..end)
    }

    /// The second choice, for file systems that cannot free the middle: loses the last half as it
    /// is now, and uncounted what is written between the look at the length and the cut.
    fn cut_off(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(self.head)?;
        self.cut += length.saturating_sub(self.head);
        Ok(())
    }

    /// Closes the gap, in place: a process that was left in the background goes on appending to
    /// this very file.
    fn finish(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let rest = length.saturating_sub(HALF);
        if rest > HALF || self.cut > 0 {
            let kept_head = length.min(HALF);
            let kept = rest.min(HALF);
            let left_out = self.cut + (rest - kept);
            let mut end = format!("\n[{left_out} bytes left out]\n").into_bytes();
            let marker = end.len();
            end.resize(marker + usize::try_from(kept).expect("half an output fits memory"), 0);
            self.file.read_exact_at(&mut end[marker..], length - kept)?;
            self.file.write_all_at(&end, kept_head)?;
            self.file.set_len(kept_head + end.len() as u64)?;
        }
        self.head = self.file.metadata()?.len().max(HALF);
        self.freed = self.head;
        Ok(())
    }
}

/// The end of an order's output, safe to print.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// What is shown.
    pub text: String,
    /// Whether there is more output than this.
    pub truncated: bool,
}

/// Reads the end of both outputs: stdout's first, as most programs say what they did there, and
/// then stderr's, which says why they stopped. Each gets half of the room and what the other does
/// not need. An output that cannot be read counts as empty.
pub(super) fn tail(directory: &Path) -> Tail {
    tail_within(directory, TAIL_MAX)
}

/// The same, of another length.
pub(super) fn tail_within(directory: &Path, most: usize) -> Tail {
    let open = |name| open_plain(&directory.join(name)).ok();
    tail_of(open(STDOUT).as_ref(), open(STDERR).as_ref(), most)
}

fn tail_of(stdout: Option<&File>, stderr: Option<&File>, most: usize) -> Tail {
    let measured = |file: &'_ File| file.metadata().ok().map(|metadata| metadata.len());
    let (stdout, stderr) = (
        stdout.and_then(|file| Some((file, measured(file)?))),
        stderr.and_then(|file| Some((file, measured(file)?))),
    );
    let length = |output: &Option<(&File, u64)>| output.as_ref().map_or(0, |(_, length)| *length);
    let room = most as u64;
    let for_stderr = length(&stderr).min((room / 2).max(room.saturating_sub(length(&stdout))));
    let for_stdout = length(&stdout).min(room - for_stderr);

    let mut text = stdout.as_ref().map_or_else(String::new, |out| last(out, for_stdout));
    if !text.is_empty() && !text.ends_with('\n') && for_stderr > 0 {
        text.push('\n');
    }
    text.push_str(&stderr.as_ref().map_or_else(String::new, |err| last(err, for_stderr)));
    let excess = text.len().saturating_sub(most);
    text.drain(..text.ceil_char_boundary(excess));
    let shown = for_stdout + for_stderr;
    Tail { text, truncated: excess > 0 || shown < length(&stdout) + length(&stderr) }
}

/// The last `count` bytes of a file as harmless text.
fn last((file, length): &(&File, u64), count: u64) -> String {
    let mut bytes = vec![0; usize::try_from(count).expect("the tail's bound fits memory")];
    if file.read_exact_at(&mut bytes, length - count).is_err() {
        return String::new();
    }
    let torn =
        if count < *length { bytes.iter().take_while(|b| **b & 0xC0 == 0x80).count() } else { 0 };
    harmless(&String::from_utf8_lossy(&bytes[torn.min(3)..]))
}

/// Makes one line of bounded length of a text that somebody else wrote.
pub fn one_line(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(LINE_CHARS) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// Text that cannot move a terminal's cursor, change its colours or turn the reading direction.
pub(super) fn harmless(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            // Progress bars overwrite their line; here each state gets its own.
            '\r' => '\n',
            // The picture of the control character.
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{FFFD}'),
            '\x7f' => '\u{2421}',
            '\u{80}'..='\u{9f}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn numbered_lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|n| format!("{n:015}\n").into_bytes()).collect()
    }

    #[test]
    fn a_long_output_keeps_its_first_and_last_half_and_says_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let (mut outputs, mut writers) = Outputs::create(directory.path()).unwrap();
        let text = numbered_lines(400_000);
        for chunk in text.chunks(700_000) {
            writers.stdout.write_all(chunk).unwrap();
            outputs.trim();
        }
        let path = directory.path().join(STDOUT);
        let taken = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(taken <= OUTPUT_MAX + HALF + (64 << 10), "{taken} bytes are taken");

        outputs.finish();
        let half = usize::try_from(HALF).unwrap();
        let marker = format!("\n[{} bytes left out]\n", text.len() - 2 * half);
        let expected = [&text[..half], marker.as_bytes(), &text[text.len() - half..]].concat();
        assert!(fs::read(&path).unwrap() == expected);
    }

    #[test]
    fn an_output_up_to_the_bound_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (mut outputs, mut writers) = Outputs::create(directory.path()).unwrap();
        let text = vec![b'x'; usize::try_from(OUTPUT_MAX).unwrap()];
        writers.stderr.write_all(&text).unwrap();
        outputs.trim();
        outputs.finish();
        assert!(fs::read(directory.path().join(STDERR)).unwrap() == text);
        assert!(fs::read(directory.path().join(STDOUT)).unwrap().is_empty());
    }

    #[test]
    fn where_the_middle_cannot_be_freed_the_first_half_and_the_newest_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (mut outputs, mut writers) = Outputs::create(directory.path()).unwrap();
        let text = numbered_lines(100_000);
        writers.stdout.write_all(&text).unwrap();
        outputs.stdout.cut_off(text.len() as u64).unwrap();
        writers.stdout.write_all(b"the newest").unwrap();
        outputs.finish();
        let half = usize::try_from(HALF).unwrap();
        let marker = format!("\n[{} bytes left out]\n", text.len() - half);
        let expected = [&text[..half], marker.as_bytes(), b"the newest"].concat();
        assert!(fs::read(directory.path().join(STDOUT)).unwrap() == expected);
    }

    #[test]
    fn what_is_appended_after_the_end_is_trimmed_too() {
        let directory = tempfile::tempdir().unwrap();
        let (mut outputs, mut writers) = Outputs::create(directory.path()).unwrap();
        writers.stdout.write_all(b"done\n").unwrap();
        outputs.finish();
        for _ in 0..16 {
            writers.stdout.write_all(&vec![b'x'; 1 << 20]).unwrap();
            outputs.trim();
        }
        let taken = fs::metadata(directory.path().join(STDOUT)).unwrap().blocks() * 512;
        assert!(taken <= OUTPUT_MAX + HALF + (64 << 10), "{taken} bytes are taken");
    }

    #[test]
    fn an_output_that_the_action_truncates_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let (mut outputs, mut writers) = Outputs::create(directory.path()).unwrap();
        writers.stdout.write_all(&vec![b'x'; 4 << 20]).unwrap();
        outputs.trim();
        File::create(directory.path().join(STDOUT)).unwrap();
        writers.stdout.write_all(b"new").unwrap();
        outputs.trim();
        outputs.finish();
        assert_eq!(fs::read(directory.path().join(STDOUT)).unwrap(), b"new");
    }

    fn tail_with(stdout: &[u8], stderr: &[u8]) -> Tail {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(STDOUT), stdout).unwrap();
        fs::write(directory.path().join(STDERR), stderr).unwrap();
        tail(directory.path())
    }

    #[test]
    fn a_long_text_becomes_a_short_line() {
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
        assert_eq!(one_line(&"é".repeat(1_000)).chars().count(), 301);
    }

    #[test]
    fn the_tail_shares_its_room_between_both_outputs() {
        let whole = |text: &str| Tail { text: text.into(), truncated: false };
        assert_eq!(tail_with(b"", b""), whole(""));
        assert_eq!(tail_with(b"out", b"err"), whole("out\nerr"));
        assert_eq!(tail_with(b"out\n", b"err\n"), whole("out\nerr\n"));
        let cases = [(9_000, 9_000, 2_048, 2_047), (9_000, 10, 4_085, 10), (10, 9_000, 10, 4_085)];
        for (out, err, out_shown, err_shown) in cases {
            let tail = tail_with(&vec![b'o'; out], &vec![b'e'; err]);
            assert!(tail.truncated && tail.text.len() <= TAIL_MAX);
            let count = |letter| tail.text.matches(letter).count();
            assert!(count('o') >= out_shown - 1 && count('e') >= err_shown, "{out} {err}");
        }
        assert_eq!(tail(Path::new("/nonexistent")), whole(""));
    }

    #[test]
    fn the_tail_is_harmless_text_however_it_is_cut() {
        let tail = tail_with(b"\x1b[31mred\x07\x00\xff \xe2\x80\xae\r\nup\rdate\x7f\t\n", b"");
        assert_eq!(
            tail.text,
            "\u{241b}[31mred\u{2407}\u{2400}\u{fffd} \u{fffd}\nup\ndate\u{2421}\t\n"
        );
        let umlauts = "ä".repeat(5_000);
        let tail = tail_with(format!("x{umlauts}").as_bytes(), b"y");
        assert!(tail.text.chars().all(|c| matches!(c, 'ä' | '\n' | 'y')), "{}", tail.text);
        let controls = tail_with(&[7; 5_000], b"");
        assert!(controls.text.len() <= TAIL_MAX && controls.text.chars().all(|c| c == '\u{2407}'));
    }
}
