//! What a person is told at the start: the addresses that a phone can type, and a QR code of the first.
//!
//! What must stay true: nothing here is needed for the server to work, so nothing here can end it.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};

use if_addrs::{IfAddr, get_if_addrs};
use log::info;
use qrcode::QrCode;

use crate::os::terminal_code;

/// The port that browsers need not be told.
const HTTP_PORT: u16 = 80;

/// Says where the server listens and what to type into a phone.
pub fn say(bound: &[SocketAddr]) {
    for address in bound {
        info!("listening on {address}");
    }
    let urls = urls(bound);
    for (url, is_here_only) in &urls {
        info!("open {url} on {}", if *is_here_only { "this machine" } else { "a phone in this network" });
    }
    if let Some((url, _)) = urls.first().filter(|(_, is_here_only)| !is_here_only && io::stdout().is_terminal()) {
        if let Ok(code) = QrCode::new(url) {
            let has_colours = terminal_code::has_colours(env::var_os("TERM"), env::var_os("NO_COLOR"));
            // A terminal that goes away meanwhile takes nothing with it.
            let _ = writeln!(io::stdout(), "\n{}", terminal_code::draw(&code, has_colours));
        }
    }
}

/// One URL for each address, and whether only this machine can reach it; IPv4 first, since it is easier to type.
fn urls(bound: &[SocketAddr]) -> Vec<(String, bool)> {
    let mut reachable = Vec::new();
    for address in bound {
        let ips = if address.ip().is_unspecified() { interface_ips(address.is_ipv4()) } else { vec![address.ip()] };
        reachable.extend(ips.into_iter().map(|ip| SocketAddr::new(ip, address.port())));
    }
    // Of several ports the page's: 80 if it is there, else the last, which by default is the one the Node pair had.
    let port = reachable.iter().map(SocketAddr::port).find(|&port| port == HTTP_PORT);
    let port = port.or_else(|| bound.last().map(SocketAddr::port));
    let mut reachable: Vec<_> = reachable.into_iter().filter(|address| Some(address.port()) == port).collect();
    reachable.sort_by_key(SocketAddr::is_ipv6);
    reachable.dedup();
    reachable.into_iter().map(|address| (url(address), address.ip().is_loopback())).collect()
}

fn url(address: SocketAddr) -> String {
    match (address.port(), address) {
        (HTTP_PORT, SocketAddr::V4(address)) => format!("http://{}/", address.ip()),
        (HTTP_PORT, SocketAddr::V6(address)) => format!("http://[{}]/", address.ip()),
        _ => format!("http://{address}/"),
    }
}

fn interface_ips(only_v4: bool) -> Vec<IpAddr> {
    let interfaces = get_if_addrs().unwrap_or_default();
    let ips = interfaces.iter().map(|interface| match &interface.addr {
        IfAddr::V4(address) => IpAddr::V4(address.ip),
        IfAddr::V6(address) => IpAddr::V6(address.ip),
    });
    let is_typable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        // A link-local address needs a zone, which browsers do not take.
        IpAddr::V6(ip) => !only_v4 && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    ips.filter(is_typable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_s_port_is_announced() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let both = [address("192.168.1.5:1919"), address("192.168.1.5:1920")];
        assert_eq!(urls(&both), [("http://192.168.1.5:1920/".into(), false)]);
        assert_eq!(urls(&[both[0], address("192.168.1.5:80")]), [("http://192.168.1.5/".into(), false)]);
        assert_eq!(urls(&[address("[fd00::1]:80")]), [("http://[fd00::1]/".into(), false)]);
        assert_eq!(urls(&[address("127.0.0.1:1920")]), [("http://127.0.0.1:1920/".into(), true)]);
    }
}
