//! Writes `foghorn.1`, `foghorn-send.1`, `foghorn-listen.1`, `foghorn.bash`, `_foghorn` (zsh) and `foghorn.fish` into the folder that it is
//! given: an example of Cargo's, so that what it needs stays out of the binary. `scripts/deb` runs it.
//!
//! Commands and flags are told once, in `foghorn::cli::command_line::program`; what must stay true: nothing about a flag is written here.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use foghorn::cli::command_line::program;

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
.I /run/foghorn/state/
What was said, as the service keeps it for the next start: gone after systemctl stop or a reboot.
.TP
.I /usr/share/doc/foghorn/examples/
Drop-ins for the units: port 80 as well, ports of its own, a page of your own, what was said on disk, channels in Redis.
.SH SIGNALS
SIGTERM, SIGINT and SIGHUP (a terminal that closes) end it: clients get close code 1001 and up to 5 seconds for what is still
theirs. A second signal, unless it is SIGHUP, ends it at once. SIGINT or SIGHUP that was ignored at the start (nohup, or & in a
script) stays ignored.
.SH EXIT STATUS
0 after a signal, 1 when something failed (a taken port, a missing folder), 2 for a bad flag, variable or line of a file of codes.
.SH SEE ALSO
foghorn-send(1), foghorn-listen(1), systemctl(1), journalctl(1), systemd.socket(5)
";

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: manual FOLDER");
        std::process::exit(2);
    };
    fs::create_dir_all(&folder)?;
    let mut all = program();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut all, "foghorn", &folder)?;
    }
    // `serve` has the flags of the whole, and no page of its own.
    let mut documented = program().disable_help_subcommand(true).mut_subcommand("serve", |serve| serve.hide(true));
    documented.build();
    for client in documented.get_subcommands().filter(|command| !command.is_hide_set()) {
        client_page(client, documented.get_version().unwrap_or_default(), &folder)?;
    }
    let mut page = Vec::new();
    Man::new(documented).render(&mut page)?;
    page.extend_from_slice(AFTER_THE_FLAGS.as_bytes());
    fs::write(folder.join("foghorn.1"), page)
}

fn client_page(command: &Command, version: &str, folder: &Path) -> io::Result<()> {
    let man = Man::new(command.clone()).source(format!("foghorn {version}"));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let help = command.get_after_long_help().expect("the help of a client teaches").to_string();
    for (title, lines) in help.split("\n\n").filter_map(|block| block.split_once('\n')) {
        let title = title.split([':', ',']).next().unwrap_or_default().to_uppercase();
        let lines = lines.replace('\\', "\\(rs").replace('-', "\\-").replace("\n  ", "\n");
        write!(page, ".SH \"{title}\"\n.nf\n{}\n.fi\n", lines.trim_start())?;
    }
    page.extend_from_slice(b".SH \"SEE ALSO\"\nfoghorn(1)\n");
    fs::write(folder.join(man.get_filename()), page)
}
