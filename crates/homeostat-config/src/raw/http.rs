//! How a server is talked to, as it was typed.

use std::ops::Range;

use super::Words;
use super::request::{is_secret, pairs};
use crate::keys;
use crate::read::{Field, Fields, Reader, Spanned, Text};
use crate::report::Problem;
use crate::yaml::{Kind, Node};

/// How a server is talked to.
#[derive(Debug, Default)]
pub(crate) struct Http {
    pub(crate) basic_auth: Field<BasicAuth>,
    pub(crate) authorization: Field<Authorization>,
    pub(crate) oauth2: Field<Box<OAuth2>>,
    pub(crate) tls: Field<Tls>,
    pub(crate) proxy: Proxy,
    pub(crate) headers: Field<Vec<Header>>,
}

/// `basic_auth`.
#[derive(Debug)]
pub(crate) struct BasicAuth {
    pub(crate) span: Range<usize>,
    pub(crate) username: Field<Text>,
    pub(crate) password: Field<Text>,
    pub(crate) password_file: Field<Text>,
}

/// `authorization`.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) span: Range<usize>,
    pub(crate) scheme: Field<Text>,
    pub(crate) credentials: Field<Text>,
    pub(crate) credentials_file: Field<Text>,
}

/// `oauth2`.
#[derive(Debug)]
pub(crate) struct OAuth2 {
    pub(crate) span: Range<usize>,
    pub(crate) client_id: Field<Text>,
    pub(crate) client_secret: Field<Text>,
    pub(crate) client_secret_file: Field<Text>,
    pub(crate) token_url: Field<Text>,
    pub(crate) scopes: Words,
    pub(crate) endpoint_params: Field<Vec<(Text, Text)>>,
    pub(crate) tls: Field<Tls>,
    pub(crate) proxy: Proxy,
}

/// `tls_config`.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) ca_file: Field<Text>,
    pub(crate) cert_file: Field<Text>,
    pub(crate) key_file: Field<Text>,
    pub(crate) server_name: Field<Text>,
    pub(crate) insecure_skip_verify: Field<Spanned<bool>>,
}

/// `proxy_url` and `no_proxy`.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    pub(crate) url: Field<Text>,
    pub(crate) except: Field<Text>,
}

/// One of `http_headers`.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) name: Text,
    pub(crate) values: Words,
    pub(crate) secrets: Words,
    pub(crate) files: Words,
}

impl Http {
    fn is_empty(&self) -> bool {
        self.basic_auth.is_absent()
            && self.authorization.is_absent()
            && self.oauth2.is_absent()
            && self.tls.is_absent()
            && self.proxy.url.is_absent()
            && self.proxy.except.is_absent()
            && self.headers.is_absent()
    }
}

/// Reads how a server is talked to: its keys stand beside `url`, as in a scrape configuration of
/// Prometheus, or under `http_config`, as in Alertmanager.
pub(super) fn http_of(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Http {
    let nested = fields.read(reader, "http_config", |reader, node| {
        let fields = reader.fields(node, &keys::HTTP)?;
        Some(http(reader, &fields))
    });
    let beside = http(reader, fields);
    let Field::Given(nested) = nested else { return beside };
    if let (false, Some(node)) = (beside.is_empty(), fields.node("http_config")) {
        let problem = Problem::error(node.span.clone(), "`http_config` is given in two places");
        reader.problems.report(problem.help("move all of its keys here, or beside the URL"));
    }
    nested
}

/// Reads a file of `--http.config.file`.
pub(crate) fn file(reader: &mut Reader<'_>, node: &Node) -> Option<Http> {
    let fields = reader.fields(node, &keys::HTTP_FILE)?;
    Some(http(reader, &fields))
}

fn http(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Http {
    Http {
        basic_auth: fields.read(reader, "basic_auth", |reader, node| {
            let fields = reader.fields(node, &keys::BASIC_AUTH)?;
            Some(BasicAuth {
                username: fields.read(reader, "username", Reader::text),
                password: fields.read(reader, "password", Reader::secret),
                password_file: fields.read(reader, "password_file", Reader::text),
                span: fields.span,
            })
        }),
        authorization: fields.read(reader, "authorization", |reader, node| {
            let fields = reader.fields(node, &keys::AUTHORIZATION)?;
            Some(Authorization {
                scheme: fields.read(reader, "type", Reader::text),
                credentials: fields.read(reader, "credentials", Reader::secret),
                credentials_file: fields.read(reader, "credentials_file", Reader::text),
                span: fields.span,
            })
        }),
        oauth2: fields.read(reader, "oauth2", oauth2),
        tls: fields.read(reader, "tls_config", tls),
        proxy: proxy(reader, fields),
        headers: fields.read(reader, "http_headers", headers),
    }
}

/// Reads `tls_config`.
pub(super) fn tls(reader: &mut Reader<'_>, node: &Node) -> Option<Tls> {
    let fields = reader.fields(node, &keys::TLS)?;
    Some(Tls {
        ca_file: fields.read(reader, "ca_file", Reader::text),
        cert_file: fields.read(reader, "cert_file", Reader::text),
        key_file: fields.read(reader, "key_file", Reader::text),
        server_name: fields.read(reader, "server_name", Reader::text),
        insecure_skip_verify: fields.read(reader, "insecure_skip_verify", Reader::flag),
    })
}

/// Reads `proxy_url` and `no_proxy`.
pub(super) fn proxy(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Proxy {
    Proxy {
        url: fields.read(reader, "proxy_url", |reader, node| {
            let url = reader.text(node)?;
            reader.hide_credentials(&url);
            Some(url)
        }),
        except: fields.read(reader, "no_proxy", |reader, node| match &node.kind {
            Kind::Scalar(_) => reader.text(node),
            Kind::List(_) | Kind::Map(_) => {
                let help = "write one text: no_proxy: \"localhost,10.0.0.0/8,.internal\"";
                reader.wrong(node, "a text", Some(help))
            }
        }),
    }
}

fn oauth2(reader: &mut Reader<'_>, node: &Node) -> Option<Box<OAuth2>> {
    let fields = reader.fields(node, &keys::OAUTH2)?;
    Some(Box::new(OAuth2 {
        client_id: fields.read(reader, "client_id", Reader::text),
        client_secret: fields.read(reader, "client_secret", Reader::secret),
        client_secret_file: fields.read(reader, "client_secret_file", Reader::text),
        token_url: fields.read(reader, "token_url", |reader, node| {
            let url = reader.text(node)?;
            reader.hide_credentials(&url);
            Some(url)
        }),
        scopes: fields.read(reader, "scopes", |reader, node| reader.texts(node, "scopes")),
        endpoint_params: fields.read(reader, "endpoint_params", |reader, node| {
            let Kind::Map(entries) = &node.kind else {
                let help = "write endpoint_params: { audience: prometheus }";
                return reader.wrong(node, "parameters as a map", Some(help));
            };
            pairs(reader, entries, |reader, name, node| Some((name, reader.secret(node)?)))
        }),
        tls: fields.read(reader, "tls_config", tls),
        proxy: proxy(reader, &fields),
        span: fields.span,
    }))
}

fn headers(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Header>> {
    const HELP: &str = "write http_headers: { X-Scope-OrgID: { values: [team-a] } }";
    let Kind::Map(entries) = &node.kind else {
        return reader.wrong(node, "headers as a map", Some(HELP));
    };
    pairs(reader, entries, |reader, name, node| {
        let fields = match &node.kind {
            Kind::Map(_) => reader.fields(node, &keys::HTTP_HEADER),
            Kind::Scalar(_) | Kind::List(_) => {
                reader.wrong(node, "a header's values as a map", Some(HELP))
            }
        };
        let Some(fields) = fields else {
            let (values, secrets, files) = (Field::Wrong, Field::Wrong, Field::Wrong);
            return Some(Header { name, values, secrets, files });
        };
        Some(Header {
            values: fields.read(reader, "values", |reader, node| {
                if is_secret(&name.value) {
                    return secrets(reader, node);
                }
                reader.texts(node, "values")
            }),
            name,
            secrets: fields.read(reader, "secrets", secrets),
            files: fields.read(reader, "files", |reader, node| reader.texts(node, "files")),
        })
    })
}

/// Reads texts that are never shown, whatever stands in their place.
fn secrets(reader: &mut Reader<'_>, node: &Node) -> Option<Spanned<Vec<Text>>> {
    reader.problems.conceal(node.span.clone());
    reader.list(node, "a list of texts", |_| Some("write secrets: […]".into()), Reader::text)
}
