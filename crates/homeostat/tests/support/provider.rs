//! A real provider of `OpenID` Connect, `oidc-provider-mock` of Python's packages.

use std::net::SocketAddr;
use std::process::Command;

use homeostat::demo::stack::{self, Process, Sandbox};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;

use super::{program, until};

/// Posts a form.
fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let mut body = Url::parse("http://x").unwrap();
    body.query_pairs_mut().extend_pairs(fields);
    let body = body.query().unwrap_or_default().to_owned();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// A provider that runs.
pub(crate) struct Provider {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) issuer: String,
    client: Client,
}

impl Provider {
    /// Starts one; `None` where it is not installed.
    pub(crate) async fn start(sandbox: &Sandbox, name: &str, more: &[&str]) -> Option<Self> {
        let mut command = Command::new(program("oidc-provider-mock")?);
        let address = stack::free_address().unwrap();
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]).args(more);
        let issuer = format!("http://{address}");
        Some(Self::ready(sandbox, name, command, address, issuer, stack::client()).await)
    }

    /// Starts one that is served by TLS.
    pub(crate) async fn start_secure(sandbox: &Sandbox) -> Option<Self> {
        let python =
            program("oidc-provider-mock")?.canonicalize().unwrap().with_file_name("python");
        drop(stack::client());
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap().pem();
        let at = |name: &str| sandbox.path().join(name);
        std::fs::write(at("provider.pem"), &certificate).unwrap();
        std::fs::write(at("provider.key"), key.serialize_pem()).unwrap();
        let address = stack::free_address().unwrap();
        let script = "import sys, uvicorn, oidc_provider_mock
_, port, certificate, key = sys.argv
uvicorn.run(oidc_provider_mock.app(), interface='wsgi', host='127.0.0.1', port=int(port),
            ssl_certfile=certificate, ssl_keyfile=key)";
        let mut command = Command::new(python);
        command.args(["-c", script, &address.port().to_string()]);
        command.args([at("provider.pem"), at("provider.key")]);
        let issuer = format!("https://localhost:{}", address.port());
        let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("localhost", address)
            .tls_certs_only([trusted])
            .build()
            .unwrap();
        Some(Self::ready(sandbox, "provider", command, address, issuer, client).await)
    }

    async fn ready(
        sandbox: &Sandbox,
        name: &str,
        mut command: Command,
        address: SocketAddr,
        issuer: String,
        client: Client,
    ) -> Self {
        let process = Process::spawn(name, &mut command, sandbox.path()).unwrap();
        let url = format!("{issuer}/.well-known/openid-configuration");
        until("a provider", || async {
            client.get(&url).send().await.ok()?.status().is_success().then_some(())
        })
        .await;
        Self { process, address, issuer, client }
    }

    /// Tells it what it knows of somebody.
    pub(crate) async fn know(&self, user: &str, claims: &Value) {
        let url = format!("{}/users/{user}", self.issuer);
        let answer = self.client.put(url).json(claims).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Signs in as somebody where a browser was sent to; returns where it is sent back.
    pub(crate) async fn authorize(&self, url: &str, user: &str) -> Url {
        let answer = form(self.client.post(url), &[("sub", user)]).send().await.unwrap();
        let location = answer.headers().get("location").unwrap_or_else(|| panic!("{answer:?}"));
        location.to_str().unwrap().parse().unwrap()
    }

    /// Gets a token for ann, as this issuer.
    pub(crate) async fn token(&self, issuer: &str) -> String {
        let back = "http://program.example/";
        let asked = format!(
            "http://{}/oauth2/authorize?response_type=code&client_id=homeostat&scope=openid\
             &redirect_uri={back}",
            self.address
        );
        let host = issuer.trim_start_matches("http://").to_owned();
        let post = async |url: &str, form: &[(&str, &str)]| -> Response {
            let request =
                self.client.post(url).header("host", &host).basic_auth("homeostat", Some("s"));
            self::form(request, form).send().await.unwrap()
        };
        let sent = post(&asked, &[("sub", "ann")]).await;
        let sent: Url = sent.headers()["location"].to_str().unwrap().parse().unwrap();
        let code = sent.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        let form = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", back)];
        let url = format!("http://{}/oauth2/token", self.address);
        let answer: Value = post(&url, &form).await.json().await.unwrap();
        answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Says that there is none.
    pub(crate) fn skipped() {
        eprintln!("skipped: there is no oidc-provider-mock on the PATH; `make test` installs it");
    }
}
