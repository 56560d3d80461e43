//! A visit to the page as a browser makes it: a new connection, the page, then over it what the page names.
//!
//! How many visits there are and what they cost is left to the loads. What must stay true: an asset that the page names
//! is asked for, and no answer is taken that did not come in time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::loads::answers::{self, Answers};

/// No answer within this time is none.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// No page of the benchmark names more than this.
const ASSETS_MAX: usize = 32;

/// What a visit asks for, and what it is to get.
#[derive(Debug)]
pub struct Plan {
    /// Paths in the order of the page, which is the first, with their bytes.
    pub answers: Vec<(String, Vec<u8>)>,
}

impl Plan {
    /// The page of this server and all that it names.
    pub fn explore(addr: SocketAddr) -> Result<Self> {
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

/// One connection of a visitor, who waits for each answer.
#[derive(Debug)]
pub struct Visit {
    stream: TcpStream,
    addr: SocketAddr,
    answers: Answers,
}

impl Visit {
    /// Connects.
    pub fn begin(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, ANSWER_PATIENCE).context("a visitor could not connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        // As in `client`: a reset at the end, so that ports do not run out.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self { stream, addr, answers: Answers::default() })
    }

    /// The bytes behind this path.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.ask(path, answers::request(path, self.addr).as_bytes())
    }

    /// The answer to this body, posted to this path.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.ask(path, &answers::post(path, self.addr, body))
    }

    fn ask(&mut self, path: &str, request: &[u8]) -> Result<Vec<u8>> {
        self.stream.write_all(request).context("a request could not be sent")?;
        loop {
            if let Some(body) = self.answers.take().with_context(|| format!("{path} was refused"))? {
                return Ok(body);
            }
            let mut buffer = [0; 16384];
            let n = self.stream.read(&mut buffer).context("an answer did not come in time")?;
            if n == 0 {
                bail!("the server ended the connection in the middle of a visit");
            }
            self.answers.feed(&buffer[..n]);
        }
    }
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
