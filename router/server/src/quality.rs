//! Who answers the router's questions about quality: the embedded services, or a back end of the host's.

use std::{fmt, sync::Arc};

use router::{
    AskRef, Instant, QualityAnswer, QualityRequest, Router,
    quality::{self, Gate},
};
use serde_json::value::RawValue;

use crate::driver::Shared;

/// Quality services of the host's own, in place of the embedded ones.
///
/// Called while the router is locked: it must return at once, and must not answer from within; spawn. A panic is no
/// answer.
pub trait QualityBackend: Send + Sync + 'static {
    /// Find the answer; hand it to the sink. Who does not answer by the request's deadline has failed.
    fn ask(&self, request: QualityRequest, sink: QualitySink);
}

/// Where a back end hands in the answer to one question.
pub struct QualitySink {
    shared: Arc<Shared>,
    ask: AskRef,
}

impl QualitySink {
    pub(crate) fn new(shared: Arc<Shared>, ask: AskRef) -> Self {
        Self { shared, ask }
    }

    /// The answer, any JSON value; it goes to the client as it is. Never from within [`QualityBackend::ask`].
    pub fn answer(self, value: &RawValue) {
        self.shared.quality_answer(self.ask, QualityAnswer::Ready(value));
    }

    /// There is no answer. The client gets a stable code; why is for the host's own log.
    pub fn fail(self) {
        self.shared.quality_answer(self.ask, QualityAnswer::Failed);
    }
}

impl fmt::Debug for QualitySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QualitySink").field("ask", &self.ask).finish_non_exhaustive()
    }
}

/// The embedded services' answer: the router's own monitor, and the embedded gate.
pub(crate) fn embedded(router: &Router, request: &QualityRequest, now: Instant) -> Option<Box<RawValue>> {
    quality::answer(request, router.quality_monitor(), &Gate, now)
}
