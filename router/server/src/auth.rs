//! Tokens: who a socket belongs to. A token's text never reaches a log or an error.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use router::{Instant, Tier};
use serde::{Deserialize, Serialize};

/// The key of development mode: public, so its tokens prove nothing. Each welcome says that it is in use.
pub const DEVELOPMENT_KEY: &[u8] = b"goldenpath-development-key-proves-nothing";

/// Shortest HS256 key.
const KEY_BYTES_MIN: usize = 32;
/// Clocks may differ by this much.
const LEEWAY_S: u64 = 30;
/// Longest user id, in characters.
const USER_CHARS_MAX: usize = 128;

/// Which tokens are good.
#[derive(Clone)]
pub struct AuthConfig {
    key: DecodingKey,
    validation: Validation,
    development: bool,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("algorithms", &self.validation.algorithms)
            .field("development", &self.development)
            .finish_non_exhaustive()
    }
}

impl AuthConfig {
    /// Tokens signed with a shared secret of at least 32 bytes.
    pub fn hs256(key: &[u8]) -> Result<Self, KeyError> {
        if key.len() < KEY_BYTES_MIN {
            return Err(KeyError::TooShort { bytes: key.len() });
        }
        Ok(Self::new(DecodingKey::from_secret(key), Algorithm::HS256))
    }

    /// Tokens signed with the RSA key whose public half is this PEM text.
    pub fn rs256(public_pem: &[u8]) -> Result<Self, KeyError> {
        let key =
            DecodingKey::from_rsa_pem(public_pem).map_err(|_| KeyError::NotPem { algorithm: "RS256" })?;
        Ok(Self::new(key, Algorithm::RS256))
    }

    /// Tokens signed with the Ed25519 key whose public half is this PEM text.
    pub fn eddsa(public_pem: &[u8]) -> Result<Self, KeyError> {
        let key =
            DecodingKey::from_ed_pem(public_pem).map_err(|_| KeyError::NotPem { algorithm: "EdDSA" })?;
        Ok(Self::new(key, Algorithm::EdDSA))
    }

    /// Tokens signed with [`DEVELOPMENT_KEY`]: anybody can be anybody.
    pub fn development() -> Self {
        let config = Self::new(DecodingKey::from_secret(DEVELOPMENT_KEY), Algorithm::HS256);
        Self { development: true, ..config }
    }

    /// Demands this `aud`.
    #[must_use]
    pub fn with_audience(mut self, audience: &str) -> Self {
        self.validation.set_audience(&[audience]);
        self.validation.validate_aud = true;
        self.validation.required_spec_claims.insert(String::from("aud"));
        self
    }

    /// Demands this `iss`.
    #[must_use]
    pub fn with_issuer(mut self, issuer: &str) -> Self {
        self.validation.set_issuer(&[issuer]);
        self.validation.required_spec_claims.insert(String::from("iss"));
        self
    }

    /// Whether the key is the public one.
    pub fn is_development(&self) -> bool {
        self.development
    }

    /// Who the token names, if it is good.
    pub fn verify(&self, token: &str) -> Result<Identity, Denied> {
        let claims =
            decode::<Claims>(token, &self.key, &self.validation).map_err(|e| Denied::from(e.kind()))?.claims;
        if !is_user_id(&claims.sub) {
            return Err(Denied::BadSubject);
        }
        Ok(Identity {
            tier: claims.tier.as_deref().and_then(Tier::from_name).unwrap_or_default(),
            expires_at: Instant::from_micros((claims.exp * 1e6) as u64),
            user: claims.sub,
        })
    }

    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self { key, validation, development: false }
    }
}

/// Signs an HS256 token for `sub`: for load tests and for the tests of this package.
pub fn issue(key: &[u8], sub: &str, tier: Tier, ttl: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let claims = Claims {
        sub: String::from(sub),
        exp: (now + ttl).as_secs() as f64,
        tier: Some(String::from(tier.name())),
    };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key))
        .expect("HS256 signs with any key, and the claims are plain JSON")
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: String,
    /// The user's plan; free if the token names none that is known.
    pub tier: Tier,
    /// When the token expires.
    pub expires_at: Instant,
}

/// Why a token was not accepted. The client is told only that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// None was offered.
    Missing,
    /// Not a token of three parts.
    Malformed,
    /// Another algorithm than the configured one; `none` is here too.
    Algorithm,
    /// Signed with another key.
    Signature,
    /// Too old, or not yet valid.
    Time,
    /// A claim is missing, or not the configured one.
    Claim,
    /// `sub` is not 1 to 128 printable characters without white space.
    BadSubject,
}

impl Denied {
    /// A stable word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Denied::Missing => "missing",
            Denied::Malformed => "malformed",
            Denied::Algorithm => "algorithm",
            Denied::Signature => "signature",
            Denied::Time => "time",
            Denied::Claim => "claim",
            Denied::BadSubject => "subject",
        }
    }
}

impl From<&ErrorKind> for Denied {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's list of errors grows")]
    fn from(kind: &ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidSignature => Denied::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::MissingAlgorithm => {
                Denied::Algorithm
            }
            ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => Denied::Time,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => {
                Denied::Claim
            }
            _ => Denied::Malformed,
        }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A shared secret below 32 bytes.
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// Not a public key in PEM form.
    NotPem {
        /// What it was to verify.
        algorithm: &'static str,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::TooShort { bytes } => {
                write!(f, "the key has {bytes} bytes, expected at least {KEY_BYTES_MIN}")
            }
            KeyError::NotPem { algorithm } => write!(f, "not a public {algorithm} key in PEM form"),
        }
    }
}

impl std::error::Error for KeyError {}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    /// Seconds; JSON allows a fraction.
    exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
}

fn is_user_id(text: &str) -> bool {
    let printable = |c: char| !c.is_whitespace() && !c.is_control();
    (1..=USER_CHARS_MAX).contains(&text.chars().count()) && text.chars().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_good_token_names_user_and_tier() {
        let token = issue(DEVELOPMENT_KEY, "ada", Tier::Mid, HOUR);
        let identity = AuthConfig::development().verify(&token).unwrap();
        assert_eq!((identity.user.as_str(), identity.tier), ("ada", Tier::Mid));
    }

    #[test]
    fn every_flaw_has_its_name() {
        let auth = AuthConfig::development();
        let other = issue(&[7; 32], "ada", Tier::Free, HOUR);
        assert_eq!(auth.verify(&other), Err(Denied::Signature));
        let spaced = issue(DEVELOPMENT_KEY, "ada lovelace", Tier::Free, HOUR);
        assert_eq!(auth.verify(&spaced), Err(Denied::BadSubject));
        assert_eq!(auth.verify(&issue(DEVELOPMENT_KEY, "", Tier::Free, HOUR)), Err(Denied::BadSubject));
        // {"alg":"none","typ":"JWT"}.{"sub":"ada","exp":9999999999}.
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9.";
        assert!(auth.verify(none).is_err());
        assert_eq!(auth.verify("nonsense"), Err(Denied::Malformed));
        let good = issue(DEVELOPMENT_KEY, "ada", Tier::Free, HOUR);
        assert_eq!(auth.clone().with_audience("us").verify(&good), Err(Denied::Claim));
        assert_eq!(auth.with_issuer("me").verify(&good), Err(Denied::Claim));
    }

    #[test]
    fn a_short_key_is_refused() {
        assert_eq!(AuthConfig::hs256(&[0; 31]).err(), Some(KeyError::TooShort { bytes: 31 }));
        assert!(AuthConfig::hs256(&[0; 32]).is_ok());
        assert!(AuthConfig::rs256(b"no").is_err() && AuthConfig::eddsa(b"no").is_err());
    }
}
