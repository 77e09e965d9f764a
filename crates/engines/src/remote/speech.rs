//! Answers that go on, line by line, for as long as the service has something to say: a watch.

use bytes::BytesMut;
use reqwest::Response;

use super::rest::{Answer, broken};
use crate::EngineError;

/// Bytes of a line.
const LONGEST: usize = 16 << 20;

/// What came of a request to go on speaking.
pub enum Followed {
    /// It does.
    Speaks(Speech),
    /// It answered with a status that is no success.
    Refuses(Answer),
}

/// An answer that goes on.
pub struct Speech {
    answer: Response,
    asked: String,
    service: &'static str,
    /// What was heard and not handed out.
    begun: BytesMut,
    /// So many bytes of it hold no end of a line.
    looked: usize,
}

impl Speech {
    pub(super) fn new(answer: Response, asked: String, service: &'static str) -> Self {
        Self { answer, asked, service, begun: BytesMut::new(), looked: 0 }
    }

    /// The next whole line with its end; nothing when the service has ended its speech. What it had begun and not ended is dropped.
    pub async fn line(&mut self) -> Result<Option<BytesMut>, EngineError> {
        loop {
            let rest = self.begun.get(self.looked..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.begun.split_to(self.looked + end + 1);
                self.looked = 0;
                return Ok(Some(line));
            }
            self.looked = self.begun.len();
            if self.looked > LONGEST {
                return Err(EngineError::Unreachable(format!(
                    "{} says more than {LONGEST} bytes in one line ({})",
                    self.service, self.asked
                )));
            }
            match self.answer.chunk().await.map_err(|error| broken(self.service, &self.asked, &error))? {
                Some(chunk) => self.begun.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
