//! Secrets that a cookie carries: who has one is who it was given to.

use std::fmt;

use rand::Rng as _;
use sha2::{Digest, Sha256};

/// 128 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// A new one, from the system's randomness.
    pub fn random() -> Self {
        let mut bits = [0; 16];
        rand::rng().fill_bytes(&mut bits);
        Self(bits)
    }

    /// What a cookie says, if it can be a token at all.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(canonical) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|bits| Self(bits.to_be_bytes()))
    }

    /// For the cookie, and nowhere else.
    pub fn reveal(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// The digest of what [`reveal`](Self::reveal) says (SHA-256), in hexadecimal:
    /// enough to recognise it by as a password.
    pub fn reveal_digest(&self) -> String {
        Sha256::digest(self.reveal()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first `bytes` of its digest (SHA-256), in hexadecimal: a name that
    /// may be shown, as it does not tell the token.
    pub fn digest(&self, bytes: usize) -> String {
        Sha256::digest(self.0).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let token = Token::random();
        assert_eq!(Token::parse(&token.reveal()), Some(token.clone()));
        assert!(
            Token::parse(&token.reveal().to_uppercase())
                .is_none_or(|it| it.reveal() == token.reveal().to_uppercase())
        );
        for bad in ["", "x", &"g".repeat(32), &"+".repeat(32), &"0".repeat(31)] {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn neither_its_digest_nor_its_debug_tells_it() {
        let token = Token::random();
        assert!(!token.digest(16).contains(&token.reveal()));
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }
}
