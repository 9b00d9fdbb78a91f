//! Planted defects, to see that tests and checkers find them. Only with the feature `mutants`, which no release has.
//!
//! A defect is one line at the place where it would be made: `if mutant!(self.config, SkipOwnerCheck) { … }`. Without
//! the feature that is `if false { … }`, and neither the enumeration nor its field in [`Config`](crate::Config) exists.

/// The list, written once: class by class, each with its name and what goes wrong.
macro_rules! mutants {
    ($($class:literal { $($name:ident: $about:literal,)+ })+) => {
        /// A defect that can be planted. One router has at most one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutant {
            $($(#[doc = $about] $name,)+)+
        }

        impl Mutant {
            /// All of them, class by class.
            pub const ALL: &'static [Mutant] = &[$($(Mutant::$name,)+)+];

            /// The name in set-ups and reports.
            pub const fn name(self) -> &'static str {
                match self { $($(Mutant::$name => stringify!($name),)+)+ }
            }

            /// What it does wrong.
            pub const fn about(self) -> &'static str {
                match self { $($(Mutant::$name => $about,)+)+ }
            }

            /// The kind of mistake.
            pub const fn class(self) -> &'static str {
                match self { $($(Mutant::$name => $class,)+)+ }
            }
        }
    };
}

mutants! {
    "isolation" {
        SkipOwnerCheck: "a delivery to one connection does not ask whose it is",
        RunForConn: "the slot of a run is taken for that of its owner's connection",
        SilentForeignId: "a frame that names another user is taken without a word",
        WrapForeignEvent: "an agent's event that names another user goes out as progress",
        StopBySlot: "a stop takes the number of a run for its slot, and asks nobody whose it is",
        ReplayNeighbour: "a replay begins with a frame of the next user's window",
        LeakSubscription: "a subscription outlives its end",
        AlertEverybody: "news of a topic goes to all users",
        StaleRunHandle: "the handle of a run that has ended names whatever run has its slot now",
    }
    "order" {
        ReverseReplay: "what was kept for a user is replayed newest first",
        PumpNewestFirst: "what waits behind a socket goes out newest first",
        QueueEventsFirst: "run events are put in front of what waits behind a socket",
        OvertakeLag: "a connection that has fallen behind is given newer events",
        ErrorBeforeTools: "the end of a failed run is said before the ends of its tools",
    }
    "loss" {
        DropReplay: "who comes back is not replayed anything",
        ReplayOneShort: "a replay leaves out its first frame",
        LoseHeld: "what was held during set-up is counted and forgotten",
        ForgetRest: "what a window that opens has no room for is forgotten",
        SilentGap: "what cannot be replayed is left out without a word",
        DropTerminalWhenAway: "the end of a run is not kept for a user who is away",
        WindowGoesWithLastTab: "what is kept for a user goes with the last connection",
        LagForgotten: "a connection that has fallen behind does not catch up",
        FirstTabOnly: "run events reach the first of a user's connections",
        NoticeNotKept: "a host's event is not kept for a user who is away",
    }
    "duplication" {
        ForgetDedupe: "the id of a message is not remembered",
        ReplayInclusive: "a replay begins with the last frame that the client has",
        ReuseCursor: "an event carries the cursor of the one before it",
        TwiceWithTabs: "each event is written twice to a user with several connections",
        AnswerTwice: "a ping is answered twice",
    }
    "runs" {
        TerminalTwice: "a run ends twice",
        StartTwice: "a run may start again while it is at work",
        CancelOnlySaid: "a stop is announced, and the agent goes on",
        HideSecondTool: "a tool that starts beside another is not announced",
        SkipSeq: "a number of a run's events is left out",
        FailureAsSuccess: "an agent's failure goes out as its answer",
    }
    "timers" {
        NoAgentDeadline: "a run has no deadline",
        HalfDeadline: "a run has half of its time",
        KeepUserForever: "a user whose time is over is not forgotten",
        NoHeartbeat: "nobody is asked for a sign of life",
        UnresponsiveForever: "who does not answer heartbeats is kept",
    }
    "limits" {
        WindowOneMore: "a socket is handed one frame more than agreed",
        QueueOneMore: "a queue behind a socket takes one frame more than allowed",
        NoRefill: "what was used up of the rate does not come back",
        RunLimitOneLess: "a user has one run less than allowed",
        ConnectionLimitOneLess: "a user has one connection less than allowed",
        SizeUnchecked: "a text above the limit is handled",
    }
    "accounts" {
        ForgetAccount: "one kind of outcome is counted nowhere: messages that nobody handled",
        ForgetInFlight: "frames in flight to a connection that is gone are counted on",
        CancelCountedTwice: "a run that was stopped is counted as completed too",
        GiveUpUncounted: "frames given up with their queue are counted nowhere",
        ReceiptLost: "a receipt waits for a connection that is gone",
    }
    "tools" {
        ToolDeadlineLost: "a tool call has no deadline",
        ToolsMixedUp: "the report of a tool ends the oldest call of its run",
        ToolOfFirstRun: "the report of a tool goes to the first run of its user",
        ToolAnsweredTwice: "an agent is answered twice",
    }
    "drain" {
        AcceptInDrain: "new work is accepted while the router drains",
        DrainUnsaid: "nobody is told that the drain is over",
    }
    "nodes" {
        ShowBeforeLogged: "an event is shown as soon as it is on its way into the log",
        DoubtIsDone: "an append of which nobody knows whether it was carried out counts as carried out",
        WakeIsTruth: "an event that comes ahead of its turn is shown at once",
        SkipRaise: "after the store lost its tail cursors go on from where it has them",
        LostUnsaid: "a run that was taken over with events in the log is not ended",
        FencedGoesOn: "a run that another node took over goes on as if it had not",
    }
    "store" {
        SkipEpochCheck: "an append is taken under whatever epoch",
        KnownAgain: "an append that comes again is written again, at new cursors",
        AttachReadsFirst: "an attach reads first, and the node hears of new events only later",
        TakeLeased: "a takeover does not ask whether the lease has run out",
        CursorAgain: "a cursor is given to two events",
        ForgetMessages: "a message that comes again is taken in again",
    }
}

impl Mutant {
    /// Whether it shows only among several nodes: in their routers, or in a store that the simulator makes.
    pub fn is_of_several(self) -> bool {
        matches!(self.class(), "nodes" | "store")
    }

    /// The defect of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }
}
