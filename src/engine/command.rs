//! Commands for Redis as bytes, one behind the other.
//!
//! Leaves sending them to `connection`. What must stay true: bytes of a message are copied once, into here.

/// Commands that are sent together. Each has one answer.
#[derive(Debug, Default)]
pub struct Commands {
    bytes: Vec<u8>,
    count: usize,
}

impl Commands {
    /// Begins the next command, which has so many words, its name included. They have to follow.
    pub fn begin(&mut self, words: usize) -> &mut Self {
        self.count += 1;
        self.line(b'*', words)
    }

    /// The next word.
    pub fn word(&mut self, word: impl AsRef<[u8]>) -> &mut Self {
        self.parts(&[word.as_ref()])
    }

    /// The next word, which is a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.word(number.to_string())
    }

    /// The next word, of several parts.
    pub fn parts(&mut self, parts: &[&[u8]]) -> &mut Self {
        let len = parts.iter().map(|part| part.len()).sum();
        self.bytes.reserve(len + 16);
        self.line(b'$', len);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    fn line(&mut self, kind: u8, number: usize) -> &mut Self {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(number.to_string().as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// A whole command of words.
    pub fn add(&mut self, words: &[&str]) {
        self.begin(words.len());
        for word in words {
            self.word(word);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// As they are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_its_words_each_with_its_length() {
        let mut commands = Commands::default();
        commands.add(&["PING"]);
        commands.begin(3).word("SET").parts(&[b"a", b"\r\n"]).number(17);
        assert_eq!(commands.bytes(), b"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$2\r\n17\r\n");
        assert_eq!(commands.count(), 2);
    }
}
