//! A small HTTP proxy that knows CONNECT.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running proxy; it ends with the test process.
pub struct HttpProxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    /// Lets through whoever sends this `Proxy-Authorization`, or everybody.
    pub fn start(authorization: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (told, wanted) = (Arc::clone(&asked), authorization.map(str::to_owned));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (told, wanted) = (Arc::clone(&told), wanted.clone());
                thread::spawn(move || serve(stream, &told, wanted.as_deref()));
            }
        });
        Self { port, asked }
    }

    /// Where connections were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, told: &Mutex<Vec<String>>, wanted: Option<&str>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    told.lock().unwrap().push(target.clone());
    let mut sent = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        if name.eq_ignore_ascii_case("proxy-authorization") {
            sent = Some(value.to_owned());
        }
    }
    let mut to_client = stream;
    if wanted.is_some() && sent.as_deref() != wanted {
        return to_client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    let mut to_server = TcpStream::connect(target)?;
    to_client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let mut from_server = to_server.try_clone()?;
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut reader, &mut to_server);
    let _ = to_server.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}
