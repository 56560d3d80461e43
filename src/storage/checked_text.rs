//! Small text files that people may read, with a checksum as their last line.
//!
//! What must stay true: what was changed or cut is not believed.

use crate::hub::record::Chain;

/// The text of a file with these lines, each of which ends with its own end of line.
pub fn write(lines: &str) -> String {
    format!("{lines}{:08x}\n", checksum(lines))
}

/// The lines of a file with this text; `None` if its checksum is wrong.
pub fn read(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let end = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (lines, last) = text.split_at(end);
    (last == format!("{:08x}\n", checksum(lines))).then_some(lines)
}

fn checksum(lines: &str) -> u32 {
    Chain::default().over(lines.as_bytes()).value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written_and_no_other() {
        let text = write("one\ntwo words\n").into_bytes();
        assert_eq!(read(&text), Some("one\ntwo words\n"));
        for at in 0..text.len() {
            assert_eq!(read(&text[..at]), None, "{at}");
            for bit in 0..8 {
                let mut other = text.clone();
                other[at] ^= 1 << bit;
                assert_eq!(read(&other), None, "{at} {bit}");
            }
        }
    }
}
