//! What the host says of the command, told apart from what the command says.
//!
//! Both come by the standard error of `ssh`. A line of ours begins with a token that this run alone
//! has, after a line feed of its own, so that it is found in the middle of a line too, and leaves the
//! rest as it was.

/// The longest word, with its number: what is longer is none.
const WORD_MAX: usize = 32;

/// What the host says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Its SSH server gives sessions no process group of their own.
    Alone,
    /// It has no such program.
    Missing,
    /// It waits for the word to begin.
    Ready,
    /// The command ended by itself, with this status of its shell.
    Exit(i32),
    /// It was told to end, and ended.
    Ended,
    /// It did not end when it was told to, and is being killed.
    Killed,
}

impl Word {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (word, status) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "alone" => Some(Self::Alone),
            "missing" => Some(Self::Missing),
            "ready" => Some(Self::Ready),
            "exit" => status.parse().ok().map(Self::Exit),
            "ended" => Some(Self::Ended),
            "killed" => Some(Self::Killed),
            _ => None,
        }
    }
}

/// Takes our words out of a stream.
#[derive(Debug)]
pub(super) struct Words {
    mark: Vec<u8>,
    held: Vec<u8>,
}

impl Words {
    pub(super) fn new(token: &str) -> Self {
        Self { mark: format!("\n{token} ").into_bytes(), held: Vec::new() }
    }

    /// Takes in what came; what is the command's goes to `output`.
    pub(super) fn feed(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Vec<Word> {
        self.held.extend_from_slice(bytes);
        let mut words = Vec::new();
        loop {
            let Some(at) = self.held.windows(self.mark.len()).position(|part| part == self.mark)
            else {
                let keep = self.beginning_of_a_mark();
                output.extend(self.held.drain(..self.held.len() - keep));
                return words;
            };
            output.extend(self.held.drain(..at));
            let rest = &self.held[self.mark.len()..];
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    words.extend(Word::parse(&rest[..end]));
                    self.held.drain(..=self.mark.len() + end);
                }
                None if rest.len() <= WORD_MAX => return words,
                None => output.extend(self.held.drain(..self.mark.len())),
            }
        }
    }

    /// Gives back what was held, as nothing follows.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// How much of the end of what is held may be the beginning of a mark.
    fn beginning_of_a_mark(&self) -> usize {
        let most = self.held.len().min(self.mark.len());
        (1..=most).rev().find(|n| self.held.ends_with(&self.mark[..*n])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &[u8] = b"\nTOK ready\none\ntwo\nTOK exit 7\n three\n\nTOK of mine\nfour";

    #[test]
    fn words_are_told_from_output_however_they_are_cut() {
        for size in 1..=SAID.len() {
            let mut words = Words::new("TOK");
            let (mut output, mut heard) = (Vec::new(), Vec::new());
            for part in SAID.chunks(size) {
                heard.extend(words.feed(part, &mut output));
            }
            output.extend(words.finish());
            assert_eq!(heard, [Word::Ready, Word::Exit(7)], "in parts of {size}");
            let text = String::from_utf8(output).unwrap();
            assert_eq!(text, "one\ntwo three\nfour", "in parts of {size}");
        }
    }

    #[test]
    fn a_word_that_never_ends_is_output() {
        let mut words = Words::new("TOK");
        let mut output = Vec::new();
        let long = format!("\nTOK {}", "x".repeat(100));
        assert!(words.feed(long.as_bytes(), &mut output).is_empty());
        output.extend(words.finish());
        assert_eq!(output, long.as_bytes());
    }

    #[test]
    fn every_word_of_the_host_is_known() {
        let text = b"\nT alone\n\nT missing\n\nT ready\n\nT exit 255\n\nT ended 143\n\nT killed\n";
        let heard = Words::new("T").feed(text, &mut Vec::new());
        let expected = [Word::Alone, Word::Missing, Word::Ready, Word::Exit(255)];
        assert_eq!(heard[..4], expected);
        assert_eq!(heard[4..], [Word::Ended, Word::Killed]);
    }
}
