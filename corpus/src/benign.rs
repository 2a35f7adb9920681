//! The benign background: a day on which nothing happens, in the shares in which a cluster of this size logs it.
//!
//! Most of the API server's log is machines: nodes, controllers, programs, a pipeline that brings out versions, jobs at
//! their times. People read, deploy now and then, and seldom enter a pod: that is what raises an alert, one in some ten
//! thousand events. Containers, applications, logins and the cloud log as they do in the dense background, in other shares.

use casebook_event::Timestamp;

use crate::audit::{AuditEvent, Object};
use crate::cluster::{Cluster, Identity, Pod};
use crate::random::Random;
use crate::requests;

/// Requests to the API server, of which the shares below are parts.
const SHARES: u64 = 100_000;

/// The places of some controllers in [`Cluster::controllers`].
const REPLICA_SET_CONTROLLER: usize = 1;
const GARBAGE_COLLECTOR: usize = 3;
const JOB_CONTROLLER: usize = 4;
const CRON_JOB_CONTROLLER: usize = 5;

/// What a benign day has beside the cluster.
pub(crate) struct Benign {
    /// The service account of the pipeline that brings out versions.
    pipeline: Identity,
}

impl Benign {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            pipeline: pipeline(&mut Random::new(seed, "pipeline")),
        }
    }

    /// Appends one audit event, and returns the audit id's bits.
    pub(crate) fn write_audit(
        &self,
        cluster: &Cluster,
        random: &mut Random,
        time: Timestamp,
        out: &mut Vec<u8>,
    ) -> u128 {
        let id = random.next_u128();
        let pod = random.pick_skewed(&cluster.pods);
        let event = &mut requests::ordinary(cluster, pod, random, time, id);
        let controller = |at: usize| &cluster.controllers[at];
        match random.below(SHARES) {
            0..24_000 => requests::node_lease(event, cluster, pod),
            24_000..32_000 => requests::pod_status(event, pod),
            32_000..34_000 => requests::event_created(event, pod),
            34_000..36_000 => requests::mounted_secret(event, pod),
            36_000..39_000 => requests::mounted_token(event, pod),
            39_000..68_000 => requests::controller(event, cluster, pod, random),
            68_000..69_000 => requests::job_created(event, controller(CRON_JOB_CONTROLLER), pod),
            69_000..70_000 => requests::pod_created(event, controller(REPLICA_SET_CONTROLLER), pod),
            70_000..71_500 => requests::pod_created(event, controller(JOB_CONTROLLER), pod),
            71_500..73_500 => requests::removed(event, controller(GARBAGE_COLLECTOR), one_of(pod)),
            73_500..73_700 => requests::all_secrets(event, cluster, random),
            73_700..95_000 => requests::workload(event, cluster, pod, random),
            95_000..96_500 => self.brings_out(event, pod, random),
            96_500..99_730 => requests::person_reads(event, cluster, pod, random),
            99_730..99_910 => {
                let person = random.pick_skewed(&cluster.people);
                requests::deployment_changed(event, person, pod, random);
            }
            99_910..99_930 => {
                // A pod that hangs is removed, and another one takes its place.
                let person = random.pick_skewed(&cluster.people);
                requests::removed(event, person, one_of(pod));
            }
            99_930..99_970 => requests::nodes_denied(event, cluster, random),
            99_970..99_974 => requests::port_forwarded(event, cluster, pod, random),
            _ => requests::ordinary_command(event, cluster, pod, random),
        }
        event.write(out);
        id
    }

    /// The pipeline brings out a version: it reads what it brought out before, changes the deployment, waits for it, and
    /// keeps what it brought out.
    fn brings_out<'a>(&'a self, event: &mut AuditEvent<'a>, pod: &'a Pod, random: &mut Random) {
        let in_namespace = |group, resource| Object::all(group, resource).at(&pod.namespace, &pod.workload);
        event.who = &self.pipeline;
        event.object = in_namespace("apps", "deployments");
        match random.below(8) {
            0 => requests::deployment_changed(event, &self.pipeline, pod, random),
            1 => {
                event.verb = "update";
                event.object = in_namespace("", "configmaps");
            }
            2 => {
                event.verb = "list";
                event.query = "?labelSelector=name%3Drelease%2Cowner%3Dhelm";
                event.object = Object::all("", "secrets").at(&pod.namespace, "");
            }
            3 => {
                (event.verb, event.code) = ("create", 201);
                event.object = Object::all("", "secrets").at(&pod.namespace, "");
            }
            _ => {}
        }
    }
}

/// The pod as what a request is about.
fn one_of(pod: &Pod) -> Object<'_> {
    Object::all("", "pods").at(&pod.namespace, &pod.name)
}

/// A service account of a namespace for releases, whose pod has an address of the cluster.
fn pipeline(random: &mut Random) -> Identity {
    let (account, uid) = (
        "system:serviceaccount:releases:release-pipeline",
        crate::cluster::uuid(random),
    );
    Identity {
        name: account.to_owned(),
        user: format!(
            r#"{{"username":"{account}","uid":"{uid}","groups":["system:serviceaccounts","system:serviceaccounts:releases","system:authenticated"]}}"#
        ),
        ip: "10.244.9.17".to_owned(),
        agent: "helm/v3.19.0",
        reason: concat!(
            r#"RBAC: allowed by ClusterRoleBinding \"release-pipeline\" of ClusterRole \"edit\" "#,
            r#"to ServiceAccount \"release-pipeline/releases\""#
        )
        .to_owned(),
    }
}
