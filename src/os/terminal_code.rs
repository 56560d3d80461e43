//! A QR code in the characters of a terminal.
//!
//! Leaves which address, and whether there is a terminal, to `addresses`. What must stay true: where the terminal has colours, the
//! code is black on white by its own word, whatever the terminal's colours are: not every phone reads one that is inverted.

use std::ffi::OsString;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Black on white. These two of the 256 colours are the same everywhere, while themes repaint the first 16 (Solarized's black is no
/// black), and not every terminal knows 24-bit colours. Linux's console takes the nearest that it has.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// Whether to speak of colours, by what `TERM` and `NO_COLOR` (no-color.org) are in the environment.
pub fn has_colours(term: Option<OsString>, no_color: Option<OsString>) -> bool {
    let is_plain = term.is_none_or(|term| term.is_empty() || term == "dumb");
    !is_plain && no_color.is_none_or(|given| given.is_empty())
}

/// The lines of a code with its quiet zone, each with its end. Without colours its light parts are drawn in the colour of the
/// letters, which is right on a dark terminal, as most are.
pub fn draw(code: &QrCode, has_colours: bool) -> String {
    let mut renderer = code.render::<Dense1x2>();
    renderer.module_dimensions(1, 1).quiet_zone(true);
    if !has_colours {
        renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let (before, after) = if has_colours { (BLACK_ON_WHITE, RESET) } else { ("", "") };
    // The reset stands before the line's end: the rest of the line is the terminal's.
    renderer.build().lines().flat_map(|line| [before, line, after, "\n"].map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the standard asks for.
    const QUIET_MODULES: usize = 4;

    #[test]
    fn a_terminal_has_colours_unless_it_or_somebody_says_otherwise() {
        let has_colours =
            |term: Option<&str>, no_color: Option<&str>| has_colours(term.map(Into::into), no_color.map(Into::into));
        assert!(has_colours(Some("xterm-256color"), None));
        assert!(has_colours(Some("linux"), Some("")));
        assert!(!has_colours(Some("xterm-256color"), Some("1")));
        for term in [None, Some(""), Some("dumb")] {
            assert!(!has_colours(term, None), "{term:?}");
        }
    }

    #[test]
    fn each_line_has_the_colours_for_itself_and_a_quiet_zone_is_all_around() {
        let code = QrCode::new("http://192.168.1.5:1920/").unwrap();
        let lines: Vec<String> = draw(&code, true).lines().map(str::to_owned).collect();
        let width = code.width() + 2 * QUIET_MODULES;
        assert_eq!(lines.len(), width.div_ceil(2));
        for (nth, line) in lines.iter().enumerate() {
            let cells = line.strip_prefix(BLACK_ON_WHITE).and_then(|line| line.strip_suffix(RESET)).expect("colours");
            let cells: Vec<char> = cells.chars().collect();
            assert_eq!(cells.len(), width);
            let is_quiet = |cells: &[char]| cells.iter().all(|&cell| cell == ' ');
            assert!(is_quiet(&cells[..QUIET_MODULES]) && is_quiet(&cells[width - QUIET_MODULES..]), "{line}");
            let is_edge = nth < QUIET_MODULES / 2 || nth >= (width - QUIET_MODULES).div_ceil(2);
            assert_eq!(is_edge, is_quiet(&cells), "{nth}: {line}");
        }
    }

    #[test]
    fn without_colours_there_are_no_codes_and_light_is_drawn() {
        let drawn = draw(&QrCode::new("http://192.168.1.5:1920/").unwrap(), false);
        assert!(!drawn.contains('\x1b'));
        assert!(drawn.lines().next().unwrap().chars().all(|cell| cell == '█'), "{drawn}");
    }
}
