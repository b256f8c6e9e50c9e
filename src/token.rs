//! Bearer tokens carried by cookies.

use std::fmt;

use rand::Rng as _;
use sha2::{Digest, Sha256};

/// A secret of 128 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// Generates a token from a cryptographically secure generator.
    pub fn random() -> Self {
        let mut bits = [0; 16];
        rand::rng().fill_bytes(&mut bits);
        Self(bits)
    }

    /// Parses a cookie's value; `None` unless it is 32 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(canonical) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|bits| Self(bits.to_be_bytes()))
    }

    /// The secret in hexadecimal; only a cookie may contain it.
    pub fn reveal(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// SHA-256 of [`reveal`](Self::reveal) in hexadecimal, the form in which a Redis ACL
    /// takes a password.
    pub fn reveal_digest(&self) -> String {
        Sha256::digest(self.reveal()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The first `bytes` bytes of the token's SHA-256, in hexadecimal: a public name
    /// that does not reveal the token.
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
    fn only_one_spelling_of_a_token_is_accepted() {
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
    fn digest_and_debug_output_do_not_reveal_the_token() {
        let token = Token::random();
        assert!(!token.digest(16).contains(&token.reveal()));
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }
}
