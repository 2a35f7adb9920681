//! The dense background of the API server's audit log: everything that is asked for comes often, so that a short corpus
//! has all of it.

use casebook_event::Timestamp;

use crate::cluster::Cluster;
use crate::random::Random;
use crate::requests;

/// Appends one ordinary event, and returns the audit id's bits.
pub(crate) fn write(cluster: &Cluster, random: &mut Random, time: Timestamp, out: &mut Vec<u8>) -> u128 {
    let id = random.next_u128();
    let pod = random.pick_skewed(&cluster.pods);
    let event = &mut requests::ordinary(cluster, pod, random, time, id);
    match random.below(1000) {
        0..200 => requests::node_lease(event, cluster, pod),
        200..290 => requests::pod_status(event, pod),
        290..330 => requests::mounted_secret(event, pod),
        330..600 => requests::controller(event, cluster, pod, random),
        600..625 => requests::pod_created(event, &cluster.controllers[1], pod),
        625..790 => requests::workload(event, cluster, pod, random),
        790..800 => requests::all_secrets(event, cluster, random),
        800..970 => requests::person_reads(event, cluster, pod, random),
        970..993 => {
            let person = random.pick_skewed(&cluster.people);
            requests::deployment_changed(event, person, pod, random);
        }
        993..999 => requests::nodes_denied(event, cluster, random),
        _ => requests::ordinary_command(event, cluster, pod, random),
    }
    event.write(out);
    id
}
