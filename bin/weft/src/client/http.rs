//! HTTP/1.1 `POST` over one kept-alive TCP connection.
//!
//! Answers are read with `content-length` or chunked framing, at most [`ANSWER_BYTES_MAX`]. A connection that the
//! server closed while it was idle is opened again once.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    str::FromStr,
    time::Duration,
};

/// Largest answer: one 16 MiB transaction as hex with its envelope, several times over.
const ANSWER_BYTES_MAX: usize = 512 << 20;
/// Longest header line.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// Longest wait for the node to take or give bytes.
const IO_TIMEOUT: Duration = Duration::from_secs(120);

/// Where a node listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    authority: String,
    path: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is not usable.
    #[error("`{0}` is not an http:// address")]
    Address(String),
    /// The connection failed.
    #[error("no connection to http://{endpoint}: {source}")]
    Io {
        /// The node.
        endpoint: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server refused the request.
    #[error("http status {status}: {text}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Start of the body.
        text: String,
    },
    /// The answer is not HTTP/1.1 as this client reads it.
    #[error("unreadable http answer: {0}")]
    Malformed(&'static str),
}

impl FromStr for Endpoint {
    type Err = HttpError;

    fn from_str(url: &str) -> Result<Self, HttpError> {
        let address = || HttpError::Address(url.into());
        let rest = url.strip_prefix("http://").ok_or_else(address)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        if authority.is_empty()
            || authority.contains(['@', ' ', '\r', '\n'])
            || path.contains([' ', '\r', '\n'])
        {
            return Err(address());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { authority, path: path.into() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority, self.path)
    }
}

/// A kept-alive connection with its answer buffer.
#[derive(Debug)]
pub(super) struct Connection {
    endpoint: Endpoint,
    stream: Option<BufReader<TcpStream>>,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, stream: None, answer: Vec::new() }
    }

    /// Posts `body` and gives the answer's body; anything but status 200 is an error.
    pub(super) fn post(&mut self, body: &[u8]) -> Result<&[u8], HttpError> {
        let reused = self.stream.is_some();
        let status = match self.exchange(body) {
            Err(HttpError::Io { .. }) if reused => {
                self.stream = None;
                self.exchange(body)
            }
            other => other,
        };
        match status {
            Ok(200) => Ok(&self.answer),
            Ok(status) => {
                let text =
                    String::from_utf8_lossy(&self.answer[..self.answer.len().min(200)]).trim().to_owned();
                Err(HttpError::Status { status, text })
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    fn exchange(&mut self, body: &[u8]) -> Result<u16, HttpError> {
        let endpoint = self.endpoint.to_string();
        let io = |source| HttpError::Io { endpoint: endpoint.clone(), source };
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(BufReader::new(connect(&self.endpoint).map_err(io)?)),
        };
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.endpoint.path,
            self.endpoint.authority,
            body.len()
        );
        let socket = stream.get_mut();
        socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body)).map_err(io)?;
        let (status, keep) = read_answer(stream, &mut self.answer, io)?;
        if !keep {
            self.stream = None;
        }
        Ok(status)
    }
}

fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(&endpoint.authority)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    Ok(stream)
}

/// Reads one answer into `body`; gives the status and whether the connection may be used again.
fn read_answer(
    stream: &mut impl BufRead,
    body: &mut Vec<u8>,
    io: impl Fn(io::Error) -> HttpError,
) -> Result<(u16, bool), HttpError> {
    let mut line = String::new();
    read_line(stream, &mut line).map_err(&io)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or(HttpError::Malformed("status line"))?;
    let (mut length, mut chunked, mut keep) = (0usize, false, true);
    loop {
        read_line(stream, &mut line).map_err(&io)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(HttpError::Malformed("header line"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().map_err(|_| HttpError::Malformed("content-length"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            keep = !value.eq_ignore_ascii_case("close");
        }
    }
    body.clear();
    if !chunked {
        read_bytes(stream, body, length, &io)?;
        return Ok((status, keep));
    }
    loop {
        read_line(stream, &mut line).map_err(&io)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| HttpError::Malformed("chunk size"))?;
        read_bytes(stream, body, size, &io)?;
        read_line(stream, &mut line).map_err(&io)?;
        if size == 0 {
            return Ok((status, keep));
        }
    }
}

fn read_bytes(
    stream: &mut impl BufRead,
    body: &mut Vec<u8>,
    count: usize,
    io: impl Fn(io::Error) -> HttpError,
) -> Result<(), HttpError> {
    if body.len().saturating_add(count) > ANSWER_BYTES_MAX {
        return Err(HttpError::Malformed("larger than this client takes"));
    }
    let wanted = u64::try_from(count).map_err(|_| HttpError::Malformed("length"))?;
    let read = stream.take(wanted).read_to_end(body).map_err(&io)?;
    if read < count {
        return Err(io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

/// Reads a line without its end. An end of file is an error: a server may not stop in the middle.
fn read_line(stream: &mut impl BufRead, line: &mut String) -> io::Result<()> {
    line.clear();
    let read = stream.take(LINE_BYTES_MAX).read_line(line)?;
    if read == 0 || !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<(u16, bool, Vec<u8>), HttpError> {
        let mut body = Vec::new();
        let io = |source| HttpError::Io { endpoint: "test".into(), source };
        read_answer(&mut &text[..], &mut body, io).map(|(status, keep)| (status, keep, body))
    }

    #[test]
    fn addresses() {
        for (url, shown) in [
            ("http://127.0.0.1:8545", "127.0.0.1:8545/"),
            ("http://node/rpc", "node:80/rpc"),
            ("http://[::1]:1/", "[::1]:1/"),
        ] {
            assert_eq!(url.parse::<Endpoint>().expect(url).to_string(), shown);
        }
        for url in ["https://node", "127.0.0.1:8545", "http://", "http://user@node", "http://a\r\nb"] {
            assert!(url.parse::<Endpoint>().is_err(), "{url}");
        }
    }

    #[test]
    fn plain_and_chunked_answers() {
        let plain =
            read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nconnection: close\r\n\r\nhello").expect("plain");
        assert_eq!(plain, (200, false, b"hello".to_vec()));
        let chunked =
            read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n")
                .expect("chunked");
        assert_eq!(chunked, (200, true, b"hello".to_vec()));
    }

    #[test]
    fn truncated_and_oversize_answers_are_errors() {
        for text in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"nonsense\r\n\r\n",
        ] {
            assert!(read(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
