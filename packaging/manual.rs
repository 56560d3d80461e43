//! Writes `foghorn.1`, `foghorn.bash`, `_foghorn` (zsh) and `foghorn.fish` into the folder that it is given: an example of
//! Cargo's, so that what it needs stays out of the binary. `scripts/deb` runs it.
//!
//! The flags are told once, in `foghorn::config::flags::Args`; what must stay true: nothing about a flag is written here.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};

/// What the flags do not tell: how the packaged service is set up and looked after.
const AFTER_THE_FLAGS: &str = r".SH FILES
.TP
.I /etc/default/foghorn
Settings of the service, one FOGHORN_ variable a line. After a change: systemctl restart foghorn
.TP
.I /etc/foghorn/codes
Codes of the service, one a line: code [NAME=]CODE to come in, send-code [NAME=]CODE to send. Only root can read it, mode 600; systemd
hands it to the service. After a change: systemctl restart foghorn
.TP
.I /usr/share/doc/foghorn/examples/
Drop-ins for the units: port 80 as well, ports of its own, a page of your own.
.SH SIGNALS
SIGTERM, SIGINT and SIGHUP (a terminal that closes) end it: clients get close code 1001 and up to 5 seconds for what is still
theirs. A second signal, unless it is SIGHUP, ends it at once. SIGINT or SIGHUP that was ignored at the start (nohup, or & in a
script) stays ignored.
.SH EXIT STATUS
0 after a signal, 1 when something failed (a taken port, a missing folder), 2 for a bad flag, variable or line of a file of codes.
.SH SEE ALSO
systemctl(1), journalctl(1), systemd.socket(5)
";

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: manual FOLDER");
        std::process::exit(2);
    };
    fs::create_dir_all(&folder)?;
    manual_page(&folder)?;
    let mut command = foghorn::config::flags::Args::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "foghorn", &folder)?;
    }
    Ok(())
}

fn manual_page(folder: &Path) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(foghorn::config::flags::Args::command()).render(&mut page)?;
    page.extend_from_slice(AFTER_THE_FLAGS.as_bytes());
    fs::write(folder.join("foghorn.1"), page)
}
