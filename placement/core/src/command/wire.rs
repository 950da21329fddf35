//! The protobuf messages inside the log's commands and outcomes. Field numbers are never reused.

use ringkv_proto::v1;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Command {
    #[prost(oneof = "command::Body", tags = "1, 2, 3")]
    pub(super) body: Option<command::Body>,
}

pub(super) mod command {
    use super::{Bootstrap, Init, v1};

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(in super::super) enum Body {
        #[prost(message, tag = "1")]
        Init(Init),
        #[prost(message, tag = "2")]
        Register(v1::RegisterRequest),
        #[prost(message, tag = "3")]
        Bootstrap(Bootstrap),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Init {
    #[prost(uint64, tag = "1")]
    pub(super) cluster: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) settings: Option<v1::Settings>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Bootstrap {
    #[prost(uint64, tag = "1")]
    pub(super) planned_at: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) groups: Vec<PlannedGroup>,
    #[prost(uint64, repeated, tag = "3")]
    pub(super) owners: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PlannedGroup {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) nodes: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Outcome {
    #[prost(oneof = "outcome::Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub(super) body: Option<outcome::Body>,
}

pub(super) mod outcome {
    use super::{Nothing, WrongCluster, v1};

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(in super::super) enum Body {
        #[prost(message, tag = "1")]
        Initialized(Nothing),
        #[prost(message, tag = "2")]
        Registered(v1::RegisterReply),
        #[prost(uint64, tag = "3")]
        BootstrappedEpoch(u64),
        #[prost(message, tag = "4")]
        NotInitialized(Nothing),
        #[prost(message, tag = "5")]
        WrongCluster(WrongCluster),
        #[prost(uint64, tag = "6")]
        UnknownNode(u64),
        #[prost(uint64, tag = "7")]
        NodeReplaced(u64),
        #[prost(uint32, tag = "8")]
        TooManyNodes(u32),
        #[prost(message, tag = "9")]
        Stale(Nothing),
        #[prost(string, tag = "10")]
        Impossible(String),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WrongCluster {
    #[prost(uint64, tag = "1")]
    pub(super) ours: u64,
    #[prost(uint64, tag = "2")]
    pub(super) theirs: u64,
}
