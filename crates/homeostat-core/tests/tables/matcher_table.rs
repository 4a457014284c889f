//! The two grammars of matchers, held against Alertmanager.
//!
//! Each row is an input with what the classic and the UTF-8 grammar make of it, `None` if they
//! refuse it. The classic column was recorded from `pkg/labels` of Alertmanager 0.25, the UTF-8
//! column from a transcript of the lexer and parser of `matcher/parse`, both run under Go.

use homeostat_core::label::{Disagreement, Matchers};

type Row = (&'static str, Option<&'static str>, Option<&'static str>);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("", Some("{}"), Some("{}")),
    ("{}", Some("{}"), Some("{}")),
    (" ", Some("{}"), Some("{}")),
    ("{ }", Some("{}"), Some("{}")),
    ("{} ", None, Some("{}")),
    (" {}", None, Some("{}")),
    ("{", Some("{}"), None),
    ("}", Some("{}"), None),
    ("}{", None, None),
    ("{{}", None, None),
    ("{}}", None, None),
    (",", None, None),
    ("{,}", None, None),
    (", ", None, None),
    ("{ , }", None, None),
    ("foo=bar", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("{foo=bar}", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("{foo=bar,}", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("foo=bar,", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("foo=bar, ", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("{foo=bar, }", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("foo=bar,,", None, None),
    ("foo=bar,,a=b", None, None),
    (",foo=bar", None, None),
    ("{,foo=bar}", None, None),
    ("{foo=bar", Some(r#"{foo = "bar"}"#), None),
    ("foo=bar}", Some(r#"{foo = "bar"}"#), None),
    ("{foo=bar}}", Some(r#"{foo = "bar}"}"#), None),
    ("{{foo=bar}}", None, None),
    ("{foo=bar},", Some(r#"{foo = "bar}"}"#), None),
    ("{foo=bar} ", Some(r#"{foo = "bar}"}"#), Some(r#"{foo = "bar"}"#)),
    ("\u{a0}{foo=bar}", None, Some(r#"{foo = "bar"}"#)),
    ("{foo=bar}{a=b}", Some(r#"{foo = "bar}{a=b"}"#), None),
    ("{foo=bar},{a=b}", None, None),
    ("{foo=bar} a=b", Some(r#"{foo = "bar} a=b"}"#), None),
    ("foo!=bar", Some(r#"{foo != "bar"}"#), Some(r#"{foo != "bar"}"#)),
    ("foo=~bar", Some(r#"{foo =~ "bar"}"#), Some(r#"{foo =~ "bar"}"#)),
    ("foo!~bar", Some(r#"{foo !~ "bar"}"#), Some(r#"{foo !~ "bar"}"#)),
    ("foo==bar", Some(r#"{foo = "=bar"}"#), None),
    ("foo=!bar", Some(r#"{foo = "!bar"}"#), None),
    ("foo=~=bar", Some(r#"{foo =~ "=bar"}"#), None),
    ("foo!bar", None, None),
    ("foo~bar", None, None),
    ("foo ! = bar", None, None),
    ("foo = ~bar", Some(r#"{foo = "~bar"}"#), None),
    ("foo", None, None),
    ("foo bar", None, None),
    ("=bar", None, None),
    (r#"""=bar"#, None, Some(r#"{"" = "bar"}"#)),
    ("{foo}", None, None),
    ("foo=", Some(r#"{foo = ""}"#), None),
    ("foo=,a=b", Some(r#"{foo = "", a = "b"}"#), None),
    ("foo= ,a=b", Some(r#"{foo = "", a = "b"}"#), None),
    ("{foo=}", Some(r#"{foo = ""}"#), None),
    (r#"foo="""#, Some(r#"{foo = ""}"#), Some(r#"{foo = ""}"#)),
    ("foo=~", Some(r#"{foo =~ ""}"#), None),
    (r#"foo=~"""#, Some(r#"{foo =~ ""}"#), Some(r#"{foo =~ ""}"#)),
    ("foo = bar", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    (" foo\t=\n\"bar\" ", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("foo=bar baz", Some(r#"{foo = "bar baz"}"#), None),
    (r#"foo="bar baz""#, Some(r#"{foo = "bar baz"}"#), Some(r#"{foo = "bar baz"}"#)),
    ("foo=\u{a0}bar", Some("{foo = \"\u{a0}bar\"}"), Some(r#"{foo = "bar"}"#)),
    ("foo=bar\u{2003}", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("foo\u{a0}=bar", None, Some(r#"{foo = "bar"}"#)),
    ("foo=\"bar\"\u{a0}", Some(r#"{foo = "bar"}"#), Some(r#"{foo = "bar"}"#)),
    ("foo=bar,a!=b", Some(r#"{foo = "bar", a != "b"}"#), Some(r#"{foo = "bar", a != "b"}"#)),
    (r#"{foo="bar",a=~"b|c"}"#,
        Some(r#"{foo = "bar", a =~ "b|c"}"#), Some(r#"{foo = "bar", a =~ "b|c"}"#)),
    (r#"foo="bar" a=b"#, None, None),
    (r#"foo="a,b""#, Some(r#"{foo = "a,b"}"#), Some(r#"{foo = "a,b"}"#)),
    ("foo=a,b", None, None),
    (r#"foo="a\",b""#, Some(r#"{foo = "a\",b"}"#), Some(r#"{foo = "a\",b"}"#)),
    (r#"foo="a",b""#, None, None),
    (r#"foo="{a}""#, Some(r#"{foo = "{a}"}"#), Some(r#"{foo = "{a}"}"#)),
    ("foo={a}", Some(r#"{foo = "{a"}"#), None),
    (r#"foo="a}""#, Some(r#"{foo = "a}"}"#), Some(r#"{foo = "a}"}"#)),
    ("foo=a}", Some(r#"{foo = "a"}"#), None),
    (r#"{foo="a}""#, Some(r#"{foo = "a}"}"#), None),
    (r#"foo=~"a{2}""#, Some(r#"{foo =~ "a{2}"}"#), Some(r#"{foo =~ "a{2}"}"#)),
    ("foo=~a{2}", Some(r#"{foo =~ "a{2"}"#), None),
    ("foo=~a{1,2}", None, None),
    ("{foo=~a{2}}", Some(r#"{foo =~ "a{2}"}"#), None),
    (r#""foo"="bar""#, None, Some(r#"{foo = "bar"}"#)),
    (r#""foo bar"=baz"#, None, Some(r#"{"foo bar" = "baz"}"#)),
    (r#""a.b"=c"#, None, Some(r#"{"a.b" = "c"}"#)),
    ("a.b=c", None, Some(r#"{"a.b" = "c"}"#)),
    ("a-b=c", None, Some(r#"{"a-b" = "c"}"#)),
    ("é=c", None, Some(r#"{"é" = "c"}"#)),
    ("1a=b", None, Some(r#"{"1a" = "b"}"#)),
    ("foo=é", Some(r#"{foo = "é"}"#), Some(r#"{foo = "é"}"#)),
    ("foo=🙂bar", Some(r#"{foo = "🙂bar"}"#), Some(r#"{foo = "🙂bar"}"#)),
    ("foo:a=b", Some(r#"{foo:a = "b"}"#), Some(r#"{foo:a = "b"}"#)),
    (":=b", Some(r#"{: = "b"}"#), Some(r#"{: = "b"}"#)),
    ("_=b", Some(r#"{_ = "b"}"#), Some(r#"{_ = "b"}"#)),
    ("foo=a:b", Some(r#"{foo = "a:b"}"#), Some(r#"{foo = "a:b"}"#)),
    ("foo=/a/b?c&d", Some(r#"{foo = "/a/b?c&d"}"#), Some(r#"{foo = "/a/b?c&d"}"#)),
    ("foo=a;b|c", Some(r#"{foo = "a;b|c"}"#), Some(r#"{foo = "a;b|c"}"#)),
    (r#"foo="a\nb""#, Some(r#"{foo = "a\nb"}"#), Some(r#"{foo = "a\nb"}"#)),
    (r#"foo="a\\b""#, Some(r#"{foo = "a\\b"}"#), Some(r#"{foo = "a\\b"}"#)),
    (r#"foo="a\"b""#, Some(r#"{foo = "a\"b"}"#), Some(r#"{foo = "a\"b"}"#)),
    (r#"foo="a\tb""#, Some(r#"{foo = "a\\tb"}"#), Some(r#"{foo = "a\tb"}"#)),
    (r#"foo="a\wb""#, Some(r#"{foo = "a\\wb"}"#), None),
    (r#"foo="\x41""#, Some(r#"{foo = "\\x41"}"#), Some(r#"{foo = "A"}"#)),
    (r#"foo="\101""#, Some(r#"{foo = "\\101"}"#), Some(r#"{foo = "A"}"#)),
    (r#"foo="\u00e9""#, Some(r#"{foo = "\\u00e9"}"#), Some(r#"{foo = "é"}"#)),
    (r#"foo="\U0001f642""#, Some(r#"{foo = "\\U0001f642"}"#), Some(r#"{foo = "🙂"}"#)),
    (r#"foo="\xf0\x9f\x99\x82""#,
        Some(r#"{foo = "\\xf0\\x9f\\x99\\x82"}"#), Some(r#"{foo = "🙂"}"#)),
    (r#"foo="\xf0\x9f""#, Some(r#"{foo = "\\xf0\\x9f"}"#), None),
    (r#"foo="\ud800""#, Some(r#"{foo = "\\ud800"}"#), None),
    (r#"foo="\'""#, Some(r#"{foo = "\\'"}"#), None),
    (r#"foo="\400""#, Some(r#"{foo = "\\400"}"#), None),
    (r#"foo="\a\b\f\r\v""#,
        Some(r#"{foo = "\\a\\b\\f\\r\\v"}"#), Some(r#"{foo = "\u0007\b\f\r\u000b"}"#)),
    (r#""\x66oo"=bar"#, None, Some(r#"{foo = "bar"}"#)),
    (r"foo=a\nb", Some(r#"{foo = "a\nb"}"#), None),
    (r"foo=a\\b", Some(r#"{foo = "a\\b"}"#), None),
    (r"foo=a\b", Some(r#"{foo = "a\\b"}"#), None),
    (r"foo=a\", Some(r#"{foo = "a\\"}"#), None),
    (r#"foo="a\""#, None, None),
    (r#"foo="a\\""#, Some(r#"{foo = "a\\"}"#), Some(r#"{foo = "a\\"}"#)),
    (r#"foo=a\"b"#, Some(r#"{foo = "a\"b"}"#), None),
    (r#"foo=\,"a""#, None, None),
    ("foo=\"a\nb\"", Some(r#"{foo = "a\nb"}"#), None),
    ("foo=a\nb", Some(r#"{foo = "a\nb"}"#), None),
    (r#"foo="bar"#, None, None),
    (r#"foo=bar""#, None, None),
    (r#"foo=b"ar"#, None, None),
    (r#"foo=""#, None, None),
    (r#"foo=""""#, None, None),
    (r#"foo="b"ar""#, None, None),
    (r#"foo="bar"baz"#, None, None),
    (r#"foo=:"bar""#, None, None),
    ("'foo'='bar'", None, None),
    ("foo='bar'", Some(r#"{foo = "'bar'"}"#), None),
    ("foo=`bar`", Some(r#"{foo = "`bar`"}"#), None),
    (r#"foo="'""#, Some(r#"{foo = "'"}"#), Some(r#"{foo = "'"}"#)),
    (r#"foo=~"[a-z]+""#, Some(r#"{foo =~ "[a-z]+"}"#), Some(r#"{foo =~ "[a-z]+"}"#)),
    ("foo=~[a-z]+", Some(r#"{foo =~ "[a-z]+"}"#), Some(r#"{foo =~ "[a-z]+"}"#)),
    (r#"foo=~".*""#, Some(r#"{foo =~ ".*"}"#), Some(r#"{foo =~ ".*"}"#)),
    ("foo=~(a|b)", Some(r#"{foo =~ "(a|b)"}"#), Some(r#"{foo =~ "(a|b)"}"#)),
    (r#"foo=~"(""#, None, None),
    ("foo=~(", None, None),
    (r#"foo=~"a**""#, None, None),
    (r#"foo=~"\\d+""#, Some(r#"{foo =~ "\\d+"}"#), Some(r#"{foo =~ "\\d+"}"#)),
    (r#"foo=~"\d+""#, Some(r#"{foo =~ "\\d+"}"#), None),
    (r"foo=~\d+", Some(r#"{foo =~ "\\d+"}"#), None),
    (r#"foo=~"(?=a)""#, None, None),
    (r#"foo="(""#, Some(r#"{foo = "("}"#), Some(r#"{foo = "("}"#)),
];

fn printed(matchers: Option<Matchers>) -> Option<String> {
    matchers.map(|matchers| matchers.to_string())
}

#[test]
fn the_classic_grammar_is_that_of_alertmanager() {
    for (input, classic, _) in TABLE {
        let read = printed(Matchers::parse_classic(input).ok());
        assert_eq!(read.as_deref(), *classic, "{input:?}");
    }
}

#[test]
fn the_utf8_grammar_is_that_of_alertmanager() {
    for (input, _, utf8) in TABLE {
        let read = printed(Matchers::parse_utf8(input).ok());
        assert_eq!(read.as_deref(), *utf8, "{input:?}");
    }
}

#[test]
fn the_classic_grammar_counts_where_the_two_differ() {
    for (input, classic, utf8) in TABLE {
        let expected = classic.or(*utf8);
        match Matchers::parse(input) {
            Err(_) => assert_eq!(expected, None, "{input:?}"),
            Ok(parsed) => {
                assert_eq!(Some(parsed.matchers.to_string().as_str()), expected, "{input:?}");
                match parsed.disagreement {
                    None => assert!(utf8.is_some() && classic.is_none_or(|it| Some(it) == *utf8)),
                    Some(Disagreement::OnlyClassic { .. }) => assert_eq!(*utf8, None, "{input:?}"),
                    Some(Disagreement::Different { utf8: other }) => {
                        assert_eq!(Some(other.to_string().as_str()), *utf8, "{input:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn errors_point_into_the_input() {
    for (input, ..) in TABLE {
        for result in [Matchers::parse_classic(input), Matchers::parse_utf8(input)] {
            if let Err(error) = result {
                assert!(input.get(error.span.clone()).is_some(), "{input:?}: {error:?}");
                assert!(!error.message.is_empty());
            }
        }
    }
}
