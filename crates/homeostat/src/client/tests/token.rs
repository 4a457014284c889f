//! Tokens, by a service of the test that gives them.

use std::sync::atomic::AtomicUsize;

use super::*;

/// A service that gives tokens named by their number, that live for so many seconds.
fn service(life: &'static str) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        ok(&format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":{life}}}"#))
    })
}

fn with_tokens(service: &Server) -> TokenOptions {
    TokenOptions {
        client_id: "me & you".into(),
        client_secret: Some(Secret::Text("ge:heim".into())),
        token_url: format!("{}/token/?x=1", service.url),
        scopes: vec!["read".into(), "write".into()],
        endpoint_params: vec![("audience".into(), "a".into())],
        client: ClientOptions::default(),
    }
}

fn client(server: &Server, options: TokenOptions) -> Client {
    let tokens = Some(Arc::new(Tokens::new(options).unwrap()));
    Client::new(&server.url, ClientOptions { tokens, ..ClientOptions::default() }).unwrap()
}

fn shown(server: &Server) -> Vec<String> {
    let received = server.received();
    let shown = received.iter().map(|sent| sent.header("authorization").unwrap_or("-").to_owned());
    shown.collect()
}

#[tokio::test]
async fn a_token_is_asked_for_by_our_credentials_and_goes_with_requests() {
    let (service, server) = (service("3600"), Server::start(|_| ok("")));
    let client = client(&server, with_tokens(&service));
    assert!(!format!("{client:?}").contains("heim"));
    client.get("/a", &[]).await.unwrap();
    client.post_json("/b", b"[]".to_vec()).await.unwrap();
    assert_eq!(shown(&server), ["Bearer t1", "Bearer t1"]);
    let [asked] = service.received().try_into().unwrap();
    assert!(asked.head.starts_with("POST /token/?x=1 "), "{asked:?}");
    assert_eq!(asked.body, "grant_type=client_credentials&scope=read+write&audience=a");
    // `me+%26+you:ge%3Aheim`
    assert_eq!(asked.header("authorization"), Some("Basic bWUrJTI2K3lvdTpnZSUzQWhlaW0="));
}

#[tokio::test]
async fn many_who_need_a_token_ask_for_it_once() {
    let (service, server) = (service("3600"), Server::start(|_| ok("")));
    let client = client(&server, with_tokens(&service));
    for reply in all((0..20).map(|_| client.get("/", &[]))).await {
        reply.unwrap();
    }
    assert_eq!((service.received().len(), server.received().len()), (1, 20));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    // As a text, as some services write it; half of such a short life is used.
    let (service, server) = (service("\"2\""), Server::start(|_| ok("")));
    let client = client(&server, with_tokens(&service));
    client.get("/", &[]).await.unwrap();
    client.get("/", &[]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    client.get("/", &[]).await.unwrap();
    assert_eq!(shown(&server).last().unwrap(), "Bearer t2");
}

#[tokio::test]
async fn a_token_without_an_end_is_kept() {
    let (service, server) = (service("null"), Server::start(|_| ok("")));
    let client = client(&server, with_tokens(&service));
    client.get("/", &[]).await.unwrap();
    client.get("/", &[]).await.unwrap();
    assert_eq!(shown(&server), ["Bearer t1", "Bearer t1"]);
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_not_used_again() {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer t1") => Canned::Answer(401, "", Vec::new()),
        _ => ok(""),
    });
    let service = service("3600");
    let client = client(&server, with_tokens(&service));
    assert_eq!(client.get("/", &[]).await.unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(client.get("/", &[]).await.unwrap().status, StatusCode::OK);
    assert_eq!(client.get("/", &[]).await.unwrap().status, StatusCode::OK);
    assert_eq!(shown(&server), ["Bearer t1", "Bearer t2", "Bearer t2"]);
}

#[tokio::test]
async fn who_refuses_credentials_in_a_header_gets_them_in_the_form() {
    let service = Server::start(|request| match request.header("authorization") {
        Some(_) => Canned::Answer(401, "", br#"{"error":"invalid_client"}"#.to_vec()),
        None => ok(r#"{"access_token":"t","expires_in":1}"#),
    });
    let server = Server::start(|_| Canned::Answer(401, "", Vec::new()));
    let client = client(&server, with_tokens(&service));
    client.get("/", &[]).await.unwrap();
    client.get("/", &[]).await.unwrap();
    let received = service.received();
    assert_eq!(received.len(), 3, "the second time it is known");
    for sent in [&received[1], &received[2]] {
        assert!(sent.body.ends_with("&client_id=me+%26+you&client_secret=ge%3Aheim"), "{sent:?}");
    }
}

#[tokio::test]
async fn a_refusal_says_who_refused_and_keeps_the_secret() {
    let service = Server::start(|_| {
        let text = r#"{"error":"invalid_client","error_description":"ge:heim is not it"}"#;
        Canned::Answer(400, "", text.as_bytes().to_vec())
    });
    let server = Server::start(|_| ok(""));
    let client = client(&server, with_tokens(&service));
    let many = all((0..5).map(|_| client.get("/", &[]))).await;
    for refused in many {
        let error = refused.unwrap_err().line();
        let begin = format!("no token from {}/token/?x=1: it answered 400", service.url);
        assert!(error.starts_with(&begin), "{error}");
        assert!(error.ends_with("invalid_client: <redacted> is not it"), "{error}");
    }
    assert_eq!(service.received().len(), 2, "one question, in two ways, for all who waited");
    assert_eq!(server.received().len(), 0);
    let _ = client.get("/", &[]).await;
    assert_eq!(service.received().len(), 4, "whoever comes later asks anew");
}

#[tokio::test]
async fn an_answer_without_a_token_is_not_quoted() {
    let service = Server::start(|_| ok(r#"{"access":"geheim"}"#));
    let server = Server::start(|_| ok(""));
    let error = client(&server, with_tokens(&service)).get("/", &[]).await.unwrap_err().line();
    assert!(error.ends_with("its answer has no access_token"), "{error}");
}
