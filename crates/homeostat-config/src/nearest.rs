//! The known word that a misspelt one most resembles.

/// Finds the candidate that was probably meant: at most a third of it is wrong, two letters at
/// most. Swapped neighbours count as one mistake, capitals as none.
///
/// Source: the optimal string alignment distance (Damerau 1964).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| text.to_lowercase().chars().take(40).collect::<Vec<char>>();
    let word = letters(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &letters(candidate)), candidate))
        .filter(|(wrong, candidate)| *wrong <= candidate.chars().count().div_ceil(3).min(2))
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                let swapped: &Vec<usize> = &before;
                best = best.min(swapped[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_what_was_meant() {
        let known = ["exec", "script", "timeout", "retries", "for", "WebDown"];
        for (word, wanted) in [
            ("exce", Some("exec")),
            ("Exec", Some("exec")),
            ("timeot", Some("timeout")),
            ("retry", None),
            ("retrys", Some("retries")),
            ("fro", Some("for")),
            ("webdwon", Some("WebDown")),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
    }
}
