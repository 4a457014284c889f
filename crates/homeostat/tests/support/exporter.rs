//! Serves the metrics of something whose truth a test knows, or fails to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

/// Serves what `print` says, anew at each scrape, until the test ends.
pub(crate) fn exporter(mut print: impl FnMut() -> String + Send + 'static) -> SocketAddr {
    service(move || Some(print()))
}

/// As [`exporter`], of a service that is ill where it says nothing.
pub(crate) fn service(mut print: impl FnMut() -> Option<String> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = BufReader::new(&stream);
            let mut line = String::new();
            while request.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let printed = print();
            let status = if printed.is_some() { "200 OK" } else { "500 Internal Server Error" };
            let body = printed.unwrap_or_default();
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}
