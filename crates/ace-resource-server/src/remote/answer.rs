//! The way back to the broker's thread. Something always comes back, whatever becomes of the request.

use std::sync::mpsc::Sender;
use std::thread;

use super::https::RequestError;

/// Where the answer to a request is expected.
pub(super) struct Answer<T>(Sender<Result<T, RequestError>>);

impl<T> Answer<T> {
    pub(super) const fn new(to: Sender<Result<T, RequestError>>) -> Self {
        Self(to)
    }

    pub(super) fn send(self, answer: Result<T, RequestError>) {
        // Who asked may have gone, with a new configuration.
        let _ = self.0.send(answer);
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Err(RequestError::Unusable("a mistake in the plugin".into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_request_that_panics_is_answered() {
        let (sender, answers) = mpsc::channel::<Result<(), _>>();
        let answer = Answer::new(sender);
        thread::spawn(move || {
            let _answer = answer;
            panic!("in a request");
        })
        .join()
        .unwrap_err();
        assert!(matches!(answers.try_recv(), Ok(Err(RequestError::Unusable(_)))));
    }
}
