//! The meaning of regexes, held against Go.
//!
//! The tables were recorded from Go 1.19's `regexp`, with each regex between `^(?:` and `)$` as
//! Alertmanager puts it.

use homeostat_core::label::{Matcher, Op};

/// A regex, values that it matches, values that it does not match.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
const ACCEPTED: &[Row] = &[
    ("", &[""], &["a"]),
    ("web", &["web"], &["web1", "aweb", "WEB"]),
    ("web|db", &["web", "db"], &["webdb", "we"]),
    ("web|", &["", "web"], &["|"]),
    ("|", &[""], &["|"]),
    (r"web\.hook", &["web.hook"], &["webxhook"]),
    (r"a\|b|c", &["a|b", "c"], &["a"]),
    (r"a\-b", &["a-b"], &[]),
    (r"a\_b", &["a_b"], &[]),
    ("web.*", &["web", "web01:9100"], &["aweb", "web\n"]),
    (".*", &["", "a"], &["a\nb", "\n"]),
    (".+", &["a", "é"], &["", "\n"]),
    ("(?s).*", &["a\nb", "\n"], &[]),
    ("(?s:.)b.", &["\nbc"], &["\nb\n"]),
    ("(?s-s).", &["a"], &["\n"]),
    ("^web$", &["web"], &["webx"]),
    ("a^b", &[], &["ab", "a^b"]),
    ("a$|b", &["a", "b"], &["a$"]),
    ("(?m)a$\nb", &["a\nb"], &[]),
    ("a$\nb", &[], &["a\nb"]),
    ("(?m)^a|^b$", &["a", "b"], &["b\na", "x\nb"]),
    ("^*a", &["a"], &["^a"]),
    (r"a\z", &["a"], &["a\n"]),
    (r"\Aa", &["a"], &[]),
    (r"\d+", &["1"], &["٣", "²"]),
    (r"\w+", &["a_1", "K"], &["é", "\u{17f}"]),
    (r"(?i)\w", &["\u{17f}", "\u{212a}"], &["é"]),
    (r"(?i)\W", &["é"], &["\u{17f}", "\u{212a}"]),
    (r"(?i)[^\W]", &["\u{17f}", "a"], &[]),
    (r"\s", &[" ", "\t"], &["\u{b}", "\u{a0}"]),
    ("[[:space:]]", &["\u{b}"], &["\u{a0}"]),
    (r"\S", &["\u{b}"], &[" "]),
    (r"\D", &["٣"], &["3"]),
    (r"é\b1", &["é1"], &[]),
    (r"é\B1", &[], &["é1"]),
    (r"a\bé", &["aé"], &[]),
    (r"a\b b", &["a b"], &[]),
    (r"\B", &[""], &["é"]),
    (r"\b", &[], &[""]),
    (r"\Bé\B", &["é"], &[]),
    ("(?i)straße", &["STRAßE", "stra\u{1e9e}e"], &["STRASSE"]),
    ("(?i)k", &["K", "\u{212a}", "k"], &[]),
    ("(?i)[k]", &["\u{212a}"], &[]),
    ("(?i)[^k]", &["s"], &["\u{212a}", "K"]),
    ("(?i)s", &["\u{17f}", "S"], &[]),
    ("(?i)σ", &["ς", "Σ"], &[]),
    ("(?i)a(?-i)b", &["Ab"], &["AB"]),
    ("(?i:a)b", &["Ab"], &["AB"]),
    ("a(?i)b|c", &["aB", "C"], &["Ab"]),
    ("(a(?i)b)c", &["aBc"], &["aBC"]),
    ("a(?i)*", &["aaa"], &["aA"]),
    ("a*(?i)*", &["aa", ""], &[]),
    (r"a\Q\E*", &["aaa"], &[]),
    ("x{,3}", &["x{,3}"], &["xx", ""]),
    ("x{2}", &["xx"], &["x"]),
    ("x{2,}", &["xx", "xxx"], &["x"]),
    ("x{0}", &[""], &["x"]),
    ("x{1,3}?", &["x", "xxx"], &["xxxx"]),
    ("x{a}", &["x{a}"], &[]),
    ("x{", &["x{"], &[]),
    ("x{1", &["x{1"], &[]),
    ("x{01}", &["x{01}"], &["x"]),
    ("x{1,2", &["x{1,2"], &[]),
    ("{", &["{"], &[]),
    ("}", &["}"], &[]),
    ("a{,}", &["a{,}"], &[]),
    ("x{1000}", &[], &["x"]),
    ("((x{10}){10}){10}", &[], &["x"]),
    ("(x{500}|y{1000})", &[], &["x"]),
    ("(x{0,0}y){1000}", &[], &["y"]),
    ("[]a]", &["]", "a"], &["b"]),
    ("[^]a]", &["b"], &["]"]),
    ("[a-]", &["a", "-"], &["b"]),
    ("[-a]", &["-"], &[]),
    ("[a-c-e]", &["b", "-", "e"], &["d"]),
    (r"[\d-z]", &["5", "-", "z"], &["a"]),
    ("[a&&b]", &["a", "&", "b"], &[]),
    ("[a&&b-c]", &["&", "c"], &[]),
    ("[a~~b]", &["~", "a"], &[]),
    ("[[a]", &["[", "a"], &[]),
    ("[[]a]", &["[a]"], &["a"]),
    ("[a[b]", &["[", "b"], &["]"]),
    ("[:alpha:]", &[":", "a"], &["z", "[:alpha:]"]),
    ("[[:alpha:]]", &["a"], &["é", "1"]),
    ("[[:^alpha:]]", &["1", "é"], &["a"]),
    ("[[:word:]-]", &["_", "-"], &[]),
    ("[[:punct:]]+", &["!@[`~"], &["a"]),
    (r"[^\n]", &["a"], &["\n"]),
    ("[^a]", &["\n", "b"], &["a"]),
    (r"[\]]", &["]"], &[]),
    (r"[\x41-\x43]", &["B"], &["D"]),
    (r"[\pL\d]", &["é", "1"], &["-"]),
    (r"[^\PL]", &["é"], &["1"]),
    (r"[\t]", &["\t"], &[]),
    ("[[:alpha]", &["[", ":", "a"], &["]"]),
    ("[#x]", &["#"], &[" "]),
    ("a b # c", &["a b # c"], &["ab"]),
    ("(?i)[a-z]", &["\u{212a}", "\u{17f}"], &["É"]),
    ("(?i)[[:lower:]]", &["A", "\u{17f}"], &[]),
    ("(?i)[^[:lower:]]", &["1"], &["A", "\u{17f}"]),
    (r"\pL", &["a"], &["1"]),
    (r"\PN", &["a"], &["1"]),
    (r"\p{Greek}+", &["αβγ"], &["abc"]),
    (r"\p{^Greek}", &["a"], &["α"]),
    (r"\P{^Greek}", &["α"], &["a"]),
    (r"\p{Lu}", &["A"], &["a"]),
    (r"(?i)\p{Lu}", &["A", "a"], &[]),
    (r"\p{Any}", &["\n", "é"], &[]),
    (r"\p{Zl}", &["\u{2028}"], &[" "]),
    (r"\p{Old_Italic}", &["\u{10300}"], &["a"]),
    (r"\p{Thai}", &["ก"], &[]),
    (r"\x41\x{42}\103", &["ABC"], &[]),
    (r"\x{10FFFF}", &["\u{10ffff}"], &[]),
    (r"\x{0000041}", &["A"], &[]),
    (r"\0", &["\u{0}"], &[]),
    (r"\08", &["\u{0}8"], &[]),
    (r"\12", &["\n"], &[]),
    (r"\1234", &["S4"], &[]),
    (r"\777", &["ǿ"], &[]),
    (r"\a\f\n\r\t\v", &["\u{7}\u{c}\n\r\t\u{b}"], &[]),
    (r"\x{D800}", &[], &["", "a"]),
    (r"(?:\x{D800})*a", &["a"], &[]),
    (r"[\x{D7FF}-\x{E000}]", &["\u{d7ff}", "\u{e000}"], &["a"]),
    (r"\Qa.b|c\E", &["a.b|c"], &["axb"]),
    (r"\Qa\Eb*", &["a", "abb"], &[]),
    (r"\Qab\E*", &["a", "abb"], &["abab"]),
    (r"\Q\E", &[""], &[]),
    ("(?P<name>a)(?P<name>b)", &["ab"], &[]),
    ("(?P<1>a)", &["a"], &[]),
    ("(a)(b)?", &["a", "ab"], &[]),
    ("()", &[""], &[]),
    ("(|a)+", &["", "aa"], &[]),
    ("a||b", &["a", "", "b"], &[]),
    ("(?:)", &[""], &[]),
    ("(?)a", &["a"], &[]),
    ("(?U)a+?", &["aa"], &[]),
    ("a+?", &["aa"], &[]),
    ("a??b", &["b", "ab"], &[]),
    ("a)|(?:b", &["a", "b", "ab", "ax", "xb"], &["xay"]),
    ("a)b(?:c", &["abc"], &["ac"]),
    ("(?i)a)|(b", &["A", "b"], &["B"]),
    (r"[^\x00-\x{10FFFF}]", &[], &["", "a"]),
    (r"a[^\x00-\x{10FFFF}]*", &["a"], &[]),
    (r"web-(1|2)\.example\.(com|org)",
        &["web-1.example.com", "web-2.example.org"], &["web-1xexample.com"]),
    (r"10\.0\.\d{1,3}\.\d{1,3}(:\d+)?", &["10.0.1.255:9100"], &["10.0.1", "10x0.1.1"]),
    ("(?i:prod|staging)-.+", &["PROD-1", "Staging-x"], &["prod-"]),
    ("[^-]+-[^-]+", &["a-b"], &["a-b-c"]),
    (r"\.\*", &[".*"], &[]),
    ("a.c", &["abc", "a€c"], &["a\nc"]),
];

/// What Go accepts since: names without `P` since 1.22, loose names of Unicode classes since 1.25.
const ACCEPTED_LATER: &[Row] = &[
    (r"(?<name>a)", &["a"], &["b"]),
    (r"\p{greek}", &["α"], &["a"]),
    (r"\p{Letter}", &["a"], &["1"]),
    (r"\p{old italic}", &["\u{10300}"], &["a"]),
    (r"\p{ASCII}", &["a"], &["é"]),
    (r"\p{Cn}", &["\u{e0fff}"], &["a"]),
    (r"\p{C}", &["\u{e0fff}", "\0"], &["a"]),
    (r"\p{LC}", &["a"], &["中"]),
    (r"\p{Cs}", &[], &["a"]),
];

#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "*", "+a", "?", "|*", "(*a)", "a|*", "a**", "a*+", "a+*", "a?*", "a{2}*", "a{2}{3}", "a*{2}",
    "a???", "x{1001}", "x{2,1001}", "x{3,2}", "x{99999999999}", "((x{10}){10}){11}",
    "(x{1000}){2}", "{2}", "(", "a(b", "(a", "a)", "a)b", "[a", "[", "[]", "[^]", "[z-a]",
    r"[a-\d]", "[[:foo:]]", "[[:^foo:]]", r"\", r"a\", r"\8", r"\1", r"(a)\1", r"\9", r"\Z",
    r"\C", r"\G", r"\h", r"\R", r"\X", r"\K", r"\E", r"\u0041", r"\N", r"\é", r"\x", r"\x4",
    r"\x{", r"\x{}", r"\x{110000}", r"\x{zz}", r"\Qabc", r"\Q", r"\p", r"\p{", r"\p{}",
    r"\p{Nope}", r"\p{Grek}", r"\p{IsGreek}", r"\p{Script=Greek}", r"\p{Alphabetic}", r"\pX",
    "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a)", "(?#c)", "(?x)a", "(?i", "(?i-)", "(?-)a",
    "(?--i)a", "(?P<>a)", "(?P<a b>a)", "(?P<a", "(?P=n)", "(?P>n)", "(?<>a)", "(?'n'a)", "(?R)",
    "(?1)", r"[\8]", r"[\Q]", r"[a-\pL]", "a++", "a*+b", "(?i)*", "a|(?i)*",
];

fn compile(regex: &str) -> Matcher {
    Matcher::new("a", Op::Regex, regex).unwrap_or_else(|error| panic!("{regex:?}: {error}"))
}

#[test]
fn regexes_match_what_they_match_in_go() {
    for (regex, matching, other) in ACCEPTED.iter().chain(ACCEPTED_LATER) {
        let matcher = compile(regex);
        for value in *matching {
            assert!(matcher.matches_value(value), "{regex:?} should match {value:?}");
        }
        for value in *other {
            assert!(!matcher.matches_value(value), "{regex:?} should not match {value:?}");
        }
    }
}

#[test]
fn what_go_refuses_is_refused_with_a_place_and_a_reason() {
    for regex in REFUSED {
        let error = Matcher::new("a", Op::Regex, *regex).expect_err(regex);
        assert!(regex.get(error.span.clone()).is_some(), "{regex:?}: {error:?}");
        assert!(!error.message.is_empty(), "{regex:?}");
    }
}

#[test]
fn regexes_beyond_the_bounds_are_refused() {
    let deep = format!("{}a{}", "(".repeat(200), ")*".repeat(200));
    for regex in [r"\pL{1000}", &deep] {
        assert!(Matcher::new("a", Op::Regex, regex).is_err(), "{regex}");
    }
    let grouped = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(compile(&grouped).matches_value("a"));
}
