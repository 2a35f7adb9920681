//! Rebalances and statistics: what librdkafka calls back with, kept until the poll that caused it returns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use casebook_event::{Partition, RawRecord, StartOffset};
use fail::fail_point;
use rdkafka::client::OAuthToken;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use tracing::{info, warn};

use super::config::BROKER_TIMEOUT;
use super::event::{ConsumerError, ConsumerEvent, EndOffset, OffsetSource};
use super::token::TokenFile;

/// The consumer's context. All callbacks run inside `poll`, on the consumer's own thread.
pub(crate) struct RebalanceContext {
    group: String,
    offsets: Arc<dyn OffsetSource>,
    token: TokenFile,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Reported and not yet handed on, in order.
    events: Vec<ConsumerEvent>,
    /// Partitions now assigned.
    assigned: BTreeSet<Partition>,
    /// The offset after the last record that was polled of each, since it was assigned or sought.
    polled: BTreeMap<Partition, i64>,
    /// Seeks asked for while the poller was waiting for its reader.
    deferred_seeks: Vec<Vec<(Partition, StartOffset)>>,
}

pub(crate) fn new_context(group: &str, offsets: Arc<dyn OffsetSource>, token: TokenFile) -> RebalanceContext {
    RebalanceContext {
        group: group.to_owned(),
        offsets,
        token,
        state: Mutex::default(),
    }
}

impl RebalanceContext {
    /// A panic elsewhere leaves the state whole: every change below is a single push, insert or take.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_events(&self) -> Vec<ConsumerEvent> {
        std::mem::take(&mut self.state().events)
    }

    pub(crate) fn assigned(&self) -> BTreeSet<Partition> {
        self.state().assigned.clone()
    }

    /// Takes note of records that are handed on.
    pub(crate) fn handed_on(&self, records: &[RawRecord]) {
        let mut state = self.state();
        let same = |a: &RawRecord, b: &RawRecord| {
            a.position.partition == b.position.partition && a.position.topic == b.position.topic
        };
        // Records of one partition come in a row.
        for run in records.chunk_by(same) {
            if let Some(RawRecord { position, .. }) = run.last() {
                let partition = Partition::new(position.topic.clone(), position.partition);
                state.polled.insert(partition, position.offset + 1);
            }
        }
    }

    /// These partitions are read from elsewhere now.
    pub(crate) fn forget_polled<'a>(&self, partitions: impl Iterator<Item = &'a Partition>) {
        let mut state = self.state();
        for partition in partitions {
            state.polled.remove(partition);
        }
    }

    pub(crate) fn defer_seek(&self, to: Vec<(Partition, StartOffset)>) {
        self.state().deferred_seeks.push(to);
    }

    pub(crate) fn take_deferred_seeks(&self) -> Vec<Vec<(Partition, StartOffset)>> {
        std::mem::take(&mut self.state().deferred_seeks)
    }

    fn on_assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) {
        fail_point!("ingest.assign");
        let partitions = partitions_of(list);
        let kafka = |source| self.failure(source);
        let mut lost = Vec::new();
        let result = self
            .offsets
            .start_offsets(&partitions)
            .map_err(ConsumerError::Offsets)
            .and_then(|next| {
                let mut assigned = Vec::with_capacity(partitions.len());
                for partition in partitions {
                    let offset = next.get(&partition).copied();
                    if let Some(offset) = offset {
                        lost.extend(check_topic_holds(consumer, &partition, offset.next)?);
                    }
                    let start = offset.map_or(Offset::Beginning, |offset| Offset::Offset(offset.resume));
                    list.set_partition_offset(&partition.topic, partition.partition, start)
                        .map_err(kafka)?;
                    assigned.push((partition, offset));
                }
                match consumer.rebalance_protocol() {
                    RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
                    _ => consumer.assign(list),
                }
                .map_err(kafka)?;
                Ok(assigned)
            });
        if let Ok(assigned) = &result {
            self.forget_polled(assigned.iter().map(|(partition, _)| partition));
        }
        let mut state = self.state();
        match result {
            Ok(assigned) => {
                // While another member still holds what is to move here, an assignment brings nothing.
                if !assigned.is_empty() {
                    info!(group = self.group, partitions = assigned.len(), "partitions assigned");
                }
                state
                    .assigned
                    .extend(assigned.iter().map(|(partition, _)| partition.clone()));
                state.events.push(ConsumerEvent::Assigned(assigned));
                state.events.extend(lost);
            }
            Err(error) => state.events.push(ConsumerEvent::Failed(error)),
        }
    }

    fn on_revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        fail_point!("ingest.revoke");
        let partitions = partitions_of(list);
        let result = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        };
        let mut state = self.state();
        if let Err(error) = result {
            state.events.push(ConsumerEvent::Failed(self.failure(error)));
        }
        info!(group = self.group, partitions = partitions.len(), "partitions revoked");
        for partition in &partitions {
            state.assigned.remove(partition);
        }
        state.events.push(ConsumerEvent::Revoked(partitions));
    }

    fn failure(&self, source: KafkaError) -> ConsumerError {
        ConsumerError::Kafka {
            group: self.group.clone(),
            source,
        }
    }
}

/// Refuses to read a topic that was made anew, and says what retention deleted before it was read. Where the brokers do
/// not answer in time, the check is left out: the consumer will report them by itself.
fn check_topic_holds(
    consumer: &BaseConsumer<RebalanceContext>,
    partition: &Partition,
    committed: i64,
) -> Result<Option<ConsumerEvent>, ConsumerError> {
    let Ok((low, high)) = consumer.fetch_watermarks(&partition.topic, partition.partition, BROKER_TIMEOUT) else {
        return Ok(None);
    };
    if committed > high {
        return Err(ConsumerError::TopicRecreated {
            partition: partition.clone(),
            committed,
            end: high,
        });
    }
    if committed >= low {
        return Ok(None);
    }
    warn!(%partition, lost_records = low - committed, from = committed, to = low, "records were deleted by retention before they were read");
    Ok(Some(ConsumerEvent::Lost {
        partition: partition.clone(),
        from: committed,
        to: low,
    }))
}

fn partitions_of(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements()
        .iter()
        .map(|element| Partition::new(element.topic(), element.partition()))
        .collect()
}

impl ClientContext for RebalanceContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Ok(self.token.token()?)
    }

    fn stats(&self, statistics: Statistics) {
        let mut ends = Vec::new();
        let assigned = self.assigned();
        for (name, topic) in statistics.topics {
            for (number, partition) in topic.partitions {
                let key = Partition::new(name.as_str(), number);
                if partition.hi_offset < 0 || !assigned.contains(&key) {
                    continue;
                }
                // What librdkafka says of a partition that it does not fetch is from before.
                if partition.fetch_state != "active" || partition.broker < 0 {
                    continue;
                }
                // What lies between the last record and the end may be no records: marks of transactions, or what
                // retention deleted. Once all is fetched and handed on, the last record is the end.
                let all_read = partition.fetchq_cnt == 0 && partition.next_offset >= partition.hi_offset;
                let end = if all_read {
                    self.state().polled.get(&key).copied().unwrap_or(0)
                } else {
                    partition.hi_offset
                };
                ends.push(EndOffset {
                    partition: key,
                    end,
                    high: partition.hi_offset,
                });
            }
        }
        if !ends.is_empty() {
            self.state().events.push(ConsumerEvent::EndOffsets(ends));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        warn!(group = self.group, %error, reason, "kafka client");
    }
}

impl ConsumerContext for RebalanceContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.on_assign(consumer, list),
            _ => self.on_revoke(consumer, list),
        }
    }
}
