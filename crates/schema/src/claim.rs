/// The fence: what names one attempt of one task, and what its release must match.
///
/// An attempt that lost its lease cannot end the attempt that came after it, even if a crash made both count the
/// same, because the holder differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    id: i64,
    attempt: i32,
    holder: i64,
}

/// A text that is no token of a [`Claim`], or an id that no task has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The id is out of range.
    #[error("invalid task id {id}: must be from 1 to 9223372036854775807")]
    Id {
        /// The id as given.
        id: u64,
    },
    /// The token was not made by this system.
    #[error("invalid lease: want the 24 hexadecimal digits that were given out when the task was retained")]
    Token,
}

const ATTEMPT_DIGITS: usize = 8;
const HOLDER_DIGITS: usize = 16;

impl Claim {
    /// A claim on the task `id` by its `attempt`-th retain, made by `holder`.
    #[must_use]
    pub const fn new(id: i64, attempt: i32, holder: i64) -> Claim {
        Claim { id, attempt, holder }
    }

    /// The task.
    #[must_use]
    pub const fn id(self) -> i64 {
        self.id
    }

    /// Which retain of the task this is, from 1.
    #[must_use]
    pub const fn attempt(self) -> i32 {
        self.attempt
    }

    /// The random number of whoever retained it.
    #[must_use]
    pub const fn holder(self) -> i64 {
        self.holder
    }

    /// The claim without its id, as an opaque text to hand out: 24 hexadecimal digits in lower case.
    ///
    /// ```
    /// use pgmill_schema::Claim;
    ///
    /// let claim = Claim::new(7, 2, 0x1234);
    /// assert_eq!(Claim::from_token(7, &claim.token()), Ok(claim));
    /// ```
    #[must_use]
    pub fn token(self) -> String {
        format!("{:0ATTEMPT_DIGITS$x}{:0HOLDER_DIGITS$x}", self.attempt, self.holder)
    }

    /// The claim on task `id` that [`token`](Claim::token) wrote.
    ///
    /// # Errors
    ///
    /// [`ClaimError`] if the id is 0 or above `i64::MAX`, or the text is not exactly what `token` writes.
    pub fn from_token(id: u64, token: &str) -> Result<Claim, ClaimError> {
        let id = i64::try_from(id).ok().filter(|id| *id > 0).ok_or(ClaimError::Id { id })?;
        let well_formed = token.len() == ATTEMPT_DIGITS + HOLDER_DIGITS
            && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(ClaimError::Token);
        }
        let (attempt, holder) = token.split_at(ATTEMPT_DIGITS);
        let attempt = u32::from_str_radix(attempt, 16).map_err(|_| ClaimError::Token)?;
        let holder = u64::from_str_radix(holder, 16).map_err(|_| ClaimError::Token)?;
        Ok(Claim { id, attempt: attempt.cast_signed(), holder: holder.cast_signed() })
    }
}
