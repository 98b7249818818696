//! `penumbra serve` as a program, over a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{BOUNDARY, classifier, form, png};
use crate::cli::command;

/// A running server, ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(home: &Path, more: &[&str]) -> Self {
        let args = [&["serve", "--model", "tiny", "--port", "0"][..], more].concat();
        let mut command = command(home, &args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let address = said.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends a request, says that it is the last on its connection, and returns all that comes.
    fn ask(&self, head: &str, body: &[u8]) -> String {
        let mut stream = self.connect();
        let head = format!(
            "{head}\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn predict(&self, film: &[u8]) -> String {
        let head = format!(
            "POST /api/predict HTTP/1.1\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}"
        );
        self.ask(&head, &form("file", film))
    }

    fn end(&mut self) -> std::process::ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_program_answers_and_ends_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    classifier(&folder.path().join("models/tiny"), 1, Value::Null);
    let mut server = Server::start(folder.path(), &["--max-mib", "1"]);
    let answer = server.predict(&png(1));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let said: Value = serde_json::from_str(body).unwrap();
    // The same as the command says of the same film.
    let film = folder.path().join("film.png");
    penumbra::fsutil::write_atomic(&film, &png(1)).unwrap();
    let film = film.to_string_lossy();
    let output =
        crate::cli::penumbra(folder.path(), &["predict", "--model", "tiny", "--json", &film]);
    let predicted: Value = serde_json::from_slice(&output.stdout).unwrap();
    for class in ["normal", "pneumonia"] {
        let [one, other] = [&said["predictions"][0], &predicted[0]]
            .map(|from| from["probabilities"][class].as_f64().unwrap());
        assert!((one - other).abs() < 1e-6, "{one} and {other}");
    }
    assert!(server.predict(b"a text").starts_with("HTTP/1.1 422 "));
    // The client has sent all of it before it reads, and learns the reason all the same.
    let answer = server.predict(&vec![0; 3 << 19]);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(server.ask("GET /nothing HTTP/1.1", b"").starts_with("HTTP/1.1 404 "));
    // An open connection that asks nothing does not keep it.
    let idle = server.connect();
    assert_eq!(server.end().code(), Some(0));
    drop(idle);
}

#[test]
fn parallel_uploads_over_sockets_are_all_answered() {
    let folder = tempfile::tempdir().unwrap();
    classifier(&folder.path().join("models/tiny"), 1, json!({}));
    let server = Server::start(folder.path(), &[]);
    std::thread::scope(|scope| {
        let send = |number| {
            let server = &server;
            let work = move || server.predict(&png(number));
            std::thread::Builder::new().spawn_scoped(scope, work).unwrap()
        };
        let clients: Vec<_> = (0..50).map(send).collect();
        for client in clients {
            let answer = client.join().unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        }
    });
    assert!(server.ask("GET /healthz HTTP/1.1", b"").ends_with("{\"status\":\"ok\"}"));
}
