//! The labels of the metrics.

use casebook_event::Partition;
use prometheus_client::encoding::EncodeLabelSet;

use crate::progress::stalls::Stage;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SourceLabel {
    pub(super) source: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PartitionLabel {
    pub(super) topic: String,
    pub(super) partition: i32,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LevelLabel {
    pub(super) level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StatusLabel {
    pub(super) status: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PlaceLabel {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) place: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StageLabel {
    pub(super) stage: &'static str,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StallLabel {
    pub(super) stage: &'static str,
    pub(super) topic: String,
    pub(super) partition: i32,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RuleLabel {
    pub(super) rule_id: String,
}

pub(super) fn label(partition: &Partition) -> PartitionLabel {
    PartitionLabel {
        topic: partition.topic.to_string(),
        partition: partition.partition,
    }
}

pub(super) fn stage_label(stage: Stage) -> StageLabel {
    StageLabel { stage: stage.name() }
}
