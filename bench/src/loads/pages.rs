//! Page visits as a browser makes them: a new connection, the page, then over the same connection what the page names.
//!
//! Blocking sockets in a few threads do: a page costs a server far more than it costs the load. Every answer must have
//! status 200 and the bytes that the first visit saw.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::load::Load;
use crate::outcome::Figures;
use crate::process::{self, CpuTime};
use crate::server::Server;

/// No answer within this time is none.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// No page of the benchmark is larger.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// No page of the benchmark names more than this.
const ASSETS_MAX: usize = 32;

/// Visits and requests per second by `clients` visitors at a time.
pub fn run(load: &Load, server: &Server) -> Result<Figures> {
    let addr = server.target.addr;
    let plan = Plan::explore(addr)?;
    visit_for(load.warm_up(), load.clients, addr, &plan)?;
    let before = CpuTime::of(server.pid)?;
    let began = Instant::now();
    let visits = visit_for(load.duration(), load.clients, addr, &plan)?;
    let elapsed_s = began.elapsed().as_secs_f64();
    let cpu = CpuTime::of(server.pid)?.since(before);
    Ok(Figures::from([
        ("visits_per_s".into(), visits as f64 / elapsed_s),
        ("requests_per_s".into(), visits as f64 * plan.answers.len() as f64 / elapsed_s),
        ("requests_per_visit".into(), plan.answers.len() as f64),
        ("total_us_per_visit".into(), cpu.total_us() / visits as f64),
        ("resident_kib".into(), process::resident_kib(server.pid)? as f64),
    ]))
}

/// What a visit asks for, and what it is to get.
#[derive(Debug)]
struct Plan {
    answers: Vec<(String, Vec<u8>)>,
}

impl Plan {
    fn explore(addr: SocketAddr) -> Result<Self> {
        let mut visit = Visit::begin(addr)?;
        let page = visit.get("/").context("the server has no page")?;
        let assets = named_assets(&String::from_utf8_lossy(&page));
        let mut answers = vec![("/".to_owned(), page)];
        for asset in assets {
            let body = visit.get(&asset)?;
            answers.push((asset, body));
        }
        Ok(Self { answers })
    }
}

/// Local addresses in `src` and `href` of scripts, links and images, in the order of the page.
fn named_assets(page: &str) -> Vec<String> {
    let mut assets: Vec<String> = Vec::new();
    for tag in page.split('<').filter(|t| ["script", "link", "img"].iter().any(|name| t.starts_with(name))) {
        for attribute in ["src=\"", "href=\""] {
            let Some(value) = tag.split(attribute).nth(1).and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            let path = format!("/{}", value.trim_start_matches("./").trim_start_matches('/'));
            if !value.contains(':') && !value.is_empty() && !assets.contains(&path) && assets.len() < ASSETS_MAX {
                assets.push(path);
            }
        }
    }
    assets
}

fn visit_for(duration: Duration, visitors: usize, addr: SocketAddr, plan: &Plan) -> Result<u64> {
    let until = Instant::now() + duration;
    let one_visitor = || -> Result<u64> {
        let mut visits = 0;
        while Instant::now() < until {
            let mut visit = Visit::begin(addr)?;
            for (path, expected) in &plan.answers {
                if visit.get(path)? != *expected {
                    bail!("{path} came back with other bytes than at the first visit");
                }
            }
            visits += 1;
        }
        Ok(visits)
    };
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..visitors).map(|_| scope.spawn(one_visitor)).collect();
        visitors.into_iter().map(|v| v.join().expect("a visitor does not panic")).sum()
    })
}

/// One connection of a visitor.
#[derive(Debug)]
struct Visit {
    stream: TcpStream,
    addr: SocketAddr,
    /// What has been read beyond the last answer.
    ahead: Vec<u8>,
}

impl Visit {
    fn begin(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, ANSWER_PATIENCE).context("a visitor could not connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        // As in `client`: a reset at the end, so that ports do not run out.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self { stream, addr, ahead: Vec::new() })
    }

    fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", self.addr);
        self.stream.write_all(request.as_bytes()).context("a request could not be sent")?;
        let body = self.head(path)?;
        match body {
            Body::Sized(bytes) => self.take(bytes),
            Body::Chunked => self.chunks(),
        }
    }

    fn head(&mut self, path: &str) -> Result<Body> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut headers);
            let status = response.parse(&self.ahead).context("the answer is no HTTP")?;
            if let httparse::Status::Complete(head_bytes) = status {
                if response.code != Some(200) {
                    bail!("{path} was answered with status {}", response.code.unwrap_or(0));
                }
                let value = |name: &str| {
                    let header = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
                    std::str::from_utf8(header.value).ok()
                };
                let body = match (value("content-length"), value("transfer-encoding")) {
                    (Some(length), _) => Body::Sized(length.parse().context("the length of an answer is no number")?),
                    (None, Some("chunked")) => Body::Chunked,
                    _ => bail!("the answer for {path} has no length"),
                };
                self.ahead.drain(..head_bytes);
                return Ok(body);
            }
            self.read_more()?;
        }
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        while self.ahead.len() < bytes {
            self.read_more()?;
        }
        Ok(self.ahead.drain(..bytes).collect())
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let (line_bytes, chunk_bytes) = loop {
                match httparse::parse_chunk_size(&self.ahead) {
                    Ok(httparse::Status::Complete(sizes)) => break sizes,
                    Ok(httparse::Status::Partial) => self.read_more()?,
                    Err(_) => bail!("a chunk of the answer has no size"),
                }
            };
            self.ahead.drain(..line_bytes);
            let chunk = self.take(usize::try_from(chunk_bytes)? + 2)?;
            if chunk_bytes == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..chunk.len() - 2]);
        }
    }

    fn read_more(&mut self) -> Result<()> {
        let mut buffer = [0; 16384];
        let n = self.stream.read(&mut buffer).context("an answer did not come in time")?;
        if n == 0 || self.ahead.len() > ANSWER_BYTES_MAX {
            bail!("the server ended the connection in the middle of a visit, or its answer has no end");
        }
        self.ahead.extend_from_slice(&buffer[..n]);
        Ok(())
    }
}

#[derive(Debug)]
enum Body {
    Sized(usize),
    Chunked,
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_page_names_its_local_assets_once() {
        let page = r#"<link rel="stylesheet" href="style.css"><a href="/elsewhere">x</a><script src="./app.js">
            </script><img src="https://example.org/x.png"><script src="/app.js"></script>"#;
        assert_eq!(super::named_assets(page), ["/style.css", "/app.js"]);
    }
}
