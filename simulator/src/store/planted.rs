//! Planted defects of a store: what it is asked, or what it has, is altered around the operation, which itself stays sound.

use router::{
    Instant, Mutant,
    store::{Answer, Op, Request},
};

use super::{Millis, Model, Sent, User};

impl Model {
    pub(super) fn apply_wrongly(
        &mut self,
        mutant: Mutant,
        now: Instant,
        request: &Request,
        wakes: &mut Vec<Sent>,
    ) -> Answer {
        let mut request = request.clone();
        let mut hears_later = None;
        #[expect(clippy::wildcard_enum_match_arm, reason = "a defect is one of one operation")]
        match &mut request.op {
            Op::Admit(admit) if mutant == Mutant::ForgetMessages => {
                if let Some(user) = self.users.get_mut(&admit.user) {
                    user.window = Default::default();
                }
            }
            Op::Append(append) => {
                if let Some(user) = self.users.get_mut(&append.user) {
                    user.append_wrongly(mutant, append);
                }
            }
            Op::Attach { user, node, .. } if mutant == Mutant::AttachReadsFirst => {
                let known = self.users.get(user);
                let hears = known.is_some_and(|known| known.listeners.contains_key(node));
                hears_later = (!hears).then(|| (user.clone(), node.clone()));
            }
            Op::TakeOver { user, .. } if mutant == Mutant::TakeLeased => {
                let rows = self.users.get_mut(user).into_iter().flat_map(|user| user.runs.values_mut());
                rows.for_each(|row| row.lease = Millis::MIN);
            }
            _ => {}
        }
        let answer = self.apply_rightly(now, &request, wakes);
        if let Some((user, node)) = hears_later
            && let Some(user) = self.users.get_mut(&user)
        {
            user.listeners.remove(&node);
        }
        answer
    }
}

impl User {
    fn append_wrongly(&mut self, mutant: Mutant, append: &mut router::store::Append) {
        let row = self.runs.get(&append.run);
        if mutant == Mutant::SkipEpochCheck
            && let Some(row) = row
        {
            append.epoch = row.epoch;
        }
        if mutant == Mutant::KnownAgain
            && let Some(row) = row.filter(|row| append.first_seq <= row.seq && row.ended.is_none())
        {
            append.first_seq = row.seq + 1;
        }
        if mutant == Mutant::CursorAgain && self.cur % 8 == 7 {
            self.cur -= 1;
        }
    }
}
