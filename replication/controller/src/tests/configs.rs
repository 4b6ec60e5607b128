//! Dynamic configuration changes (kafka.md A05).

use super::*;
use crate::command::{AlterConfigs, ConfigChange, ConfigOperation, ResourceChange};
use crate::image::ConfigResource;

fn with_topic() -> StateMachine {
    let mut machine = cluster(1);
    create_one(&mut machine, new_topic("t", 1, 1, 1)).expect("created");
    machine
}

fn of_topic() -> ConfigResource {
    ConfigResource::Topic("t".into())
}

fn alter(machine: &mut StateMachine, resource: ConfigResource, change: ConfigChange) -> Result<(), Refusal> {
    let resources = Vec::from([ResourceChange { resource, change }]);
    let (response, _) = machine.apply(Command::AlterConfigs(AlterConfigs { resources, validate_only: false }));
    let CommandResponse::ConfigsAltered(mut outcomes) = response else { panic!("another command's answer") };
    outcomes.remove(0).outcome
}

fn operate(machine: &mut StateMachine, key: &str, operation: ConfigOperation) -> Result<(), Refusal> {
    alter(machine, of_topic(), ConfigChange::Incremental(Vec::from([(key.into(), operation)])))
}

fn value(machine: &StateMachine, key: &str) -> Option<String> {
    machine.image().topic_configs("t")?.get(key).cloned()
}

fn set(value: &str) -> ConfigOperation {
    ConfigOperation::Set(value.into())
}

#[test]
fn keys_are_set_and_deleted_one_by_one() {
    let mut machine = with_topic();
    operate(&mut machine, "retention.ms", set("5")).expect("set");
    operate(&mut machine, "note", set("x")).expect("set");
    operate(&mut machine, "retention.ms", ConfigOperation::Delete).expect("deleted");
    assert_eq!((value(&machine, "retention.ms"), value(&machine, "note")), (None, Some("x".into())));
    operate(&mut machine, "note", ConfigOperation::Delete).expect("deleted");
    assert!(machine.image().configs.is_empty(), "no entry without values");
}

#[test]
fn items_join_and_leave_lists() {
    let mut machine = with_topic();
    operate(&mut machine, "cleanup.policy", ConfigOperation::Append("compact,delete".into())).expect("appended");
    assert_eq!(value(&machine, "cleanup.policy").as_deref(), Some("delete,compact"), "joins what the default holds");
    operate(&mut machine, "cleanup.policy", ConfigOperation::Subtract("delete".into())).expect("subtracted");
    assert_eq!(value(&machine, "cleanup.policy").as_deref(), Some("compact"));
    let refusal = operate(&mut machine, "retention.ms", ConfigOperation::Append("1".into()));
    assert_eq!(reason(refusal), (40, "Can't APPEND to key retention.ms because its type is not LIST.".into()));
    let refusal = operate(&mut machine, "note", ConfigOperation::Subtract("1".into()));
    assert_eq!(reason(refusal), (40, "Can't SUBTRACT to key note because its type is not LIST.".into()));
}

#[test]
fn the_older_request_replaces_everything() {
    let mut machine = with_topic();
    operate(&mut machine, "note", set("x")).expect("set");
    let values = Vec::from([("retention.ms".into(), Some("5".into()))]);
    alter(&mut machine, of_topic(), ConfigChange::Replace(values)).expect("replaced");
    assert_eq!((value(&machine, "retention.ms"), value(&machine, "note")), (Some("5".into()), None));
    let refusal = alter(&mut machine, of_topic(), ConfigChange::Replace(Vec::from([("note".into(), None)])));
    assert_eq!(reason(refusal).0, 40);
    alter(&mut machine, of_topic(), ConfigChange::Replace(Vec::new())).expect("emptied");
    assert!(machine.image().configs.is_empty());
}

#[test]
fn refused_changes_leave_the_resource_as_it_was() {
    let mut machine = with_topic();
    operate(&mut machine, "note", set("x")).expect("set");
    let before = machine.image().clone();
    let operations = Vec::from([("note".into(), set("y")), ("retention.ms".into(), set("soon"))]);
    assert_eq!(reason(alter(&mut machine, of_topic(), ConfigChange::Incremental(operations))).0, 40);
    let twice = Vec::from([("note".into(), set("y")), ("note".into(), set("z"))]);
    assert_eq!(reason(alter(&mut machine, of_topic(), ConfigChange::Incremental(twice))).0, 42);
    assert_eq!(reason(operate(&mut machine, "unknown", set("1"))).0, 40);
    assert_eq!(reason(operate(&mut machine, "note", set(&"x".repeat(32_768)))).0, 40);
    let nothing = || ConfigChange::Incremental(Vec::new());
    let none = ConfigResource::Topic("none".into());
    assert_eq!(reason(alter(&mut machine, none, nothing())), (3, "The topic 'none' does not exist.".into()));
    let nine = ConfigResource::Broker(Some(BrokerId(9)));
    assert_eq!(reason(alter(&mut machine, nine, nothing())).0, 102);
    assert_eq!(*machine.image(), before);
}

#[test]
fn a_resource_asked_for_twice_is_refused() {
    let mut machine = with_topic();
    let change =
        || ResourceChange { resource: of_topic(), change: ConfigChange::Incremental(Vec::from([("note".into(), set("y"))])) };
    let request = AlterConfigs { resources: Vec::from([change(), change()]), validate_only: false };
    let (response, delta) = machine.apply(Command::AlterConfigs(request));
    let CommandResponse::ConfigsAltered(outcomes) = response else { panic!("another command's answer") };
    assert_eq!(outcomes.len(), 1);
    assert_eq!(reason(outcomes[0].outcome.clone()), (42, "Duplicate resource.".into()));
    assert!(delta.is_empty());
}

#[test]
fn a_change_that_changes_nothing_is_in_no_delta() {
    let mut machine = with_topic();
    operate(&mut machine, "note", set("x")).expect("set");
    let change = ConfigChange::Incremental(Vec::from([("note".into(), set("x"))]));
    let resources = Vec::from([ResourceChange { resource: of_topic(), change }]);
    let (_, delta) = machine.apply(Command::AlterConfigs(AlterConfigs { resources, validate_only: false }));
    assert!(delta.is_empty());
}
