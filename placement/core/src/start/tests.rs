use proptest::prelude::*;

use super::*;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Empty,
    Away,
    /// A replica of placement 1 or 2.
    Member {
        of: u64,
        is_founding: bool,
        knows_leader: bool,
    },
}

fn list(count: u64) -> Peers {
    (1..=count).map(|place| (Place(place), format!("placement-{place}:7000"))).collect()
}

fn answer(place: Place, peers: &Peers, stands: Stands) -> Option<Answer> {
    let group = match stands {
        Stands::Away => return None,
        Stands::Empty => None,
        Stands::Member { of, is_founding, knows_leader } => Some(KnownGroup {
            raft_cluster: ClusterId(of),
            replica: ReplicaId(place.0),
            leader: knows_leader.then_some(ReplicaId(1)),
            is_founding,
        }),
    };
    Some(Answer { place, peers: peers.clone(), group })
}

fn decided(peers: &Peers, all: &[Stands], me: u64) -> Start {
    let answers = (1..).map(Place).zip(all).filter(|(place, _)| place.0 != me);
    let answers = answers.filter_map(|(at, stands)| Some((at, answer(at, peers, *stands)?)));
    decide(Place(me), peers, &answers.collect())
}

fn member(of: u64) -> Stands {
    Stands::Member { of, is_founding: false, knows_leader: true }
}

const FOUNDER: Stands = Stands::Member { of: 1, is_founding: true, knows_leader: true };

fn stands() -> impl Strategy<Value = Stands> {
    let member = (1..=2_u64, any::<bool>(), any::<bool>());
    let member = member.prop_map(|(of, is_founding, knows_leader)| Stands::Member {
        of,
        is_founding,
        knows_leader,
    });
    prop_oneof![3 => Just(Stands::Empty), 1 => Just(Stands::Away), 3 => member]
}

fn places() -> impl Strategy<Value = Vec<Stands>> {
    prop_oneof![Just(1), Just(3), Just(5)]
        .prop_flat_map(|count| proptest::collection::vec(stands(), count))
}

proptest! {
    #[test]
    fn an_empty_directory_founds_only_where_all_are_empty_and_only_at_one_place(all in places()) {
        let peers = list(all.len() as u64);
        let empty = (1..).zip(&all).filter(|(_, stands)| **stands == Stands::Empty);
        let starts: Vec<Start> = empty.map(|(me, _)| decided(&peers, &all, me)).collect();
        let founders = starts.iter().filter(|start| **start == Start::Found).count();
        let all_empty = all.iter().all(|stands| *stands == Stands::Empty);
        prop_assert_eq!(founders, usize::from(all_empty), "{:?}", starts);
    }

    #[test]
    fn an_empty_directory_joins_what_a_majority_knows_or_what_is_founded(all in places()) {
        let peers = list(all.len() as u64);
        for (me, _) in (1..).zip(&all).filter(|(_, stands)| **stands == Stands::Empty) {
            let Start::Join(ClusterId(joined)) = decided(&peers, &all, me) else { continue };
            let knows = |stands: &&Stands| matches!(stands, Stands::Member { of, .. } if *of == joined);
            let majority = all.iter().filter(knows).count() > all.len() / 2;
            let founded = all.iter().all(|stands| match stands {
                Stands::Member { of, is_founding, .. } => *of == joined && *is_founding,
                Stands::Empty => true,
                Stands::Away => false,
            });
            prop_assert!(majority || founded);
        }
    }
}

#[test]
fn one_replica_of_a_list_of_one_founds_at_once() {
    assert_eq!(decided(&list(1), &[Stands::Empty], 1), Start::Found);
}

#[test]
fn the_lowest_place_founds_and_the_others_join_on_its_word() {
    let peers = list(3);
    assert_eq!(decided(&peers, &[Stands::Empty; 3], 1), Start::Found);
    assert!(matches!(decided(&peers, &[Stands::Empty; 3], 2), Start::Wait(_)));
    let founded = [FOUNDER, Stands::Empty, Stands::Empty];
    assert_eq!(decided(&peers, &founded, 2), Start::Join(ClusterId(1)));
    let unseen = [FOUNDER, Stands::Empty, Stands::Away];
    assert!(matches!(decided(&peers, &unseen, 2), Start::Wait(_)));
}

#[test]
fn a_wiped_replica_joins_what_the_two_others_know() {
    let all = [member(1), Stands::Empty, member(1)];
    assert_eq!(decided(&list(3), &all, 2), Start::Join(ClusterId(1)));
}

#[test]
fn two_wiped_replicas_wait_and_name_the_third() {
    for third in [Stands::Away, member(1)] {
        for me in [1, 2] {
            let start = decided(&list(3), &[Stands::Empty, Stands::Empty, third], me);
            let Start::Wait(reason) = start else { panic!("{start:?}") };
            let named = if third == Stands::Away { "placement-3:7000" } else { "a majority" };
            assert!(reason.contains(named), "{reason}");
        }
    }
}

#[test]
fn a_placement_of_one_takes_in_a_second_from_a_list_of_two() {
    assert_eq!(decided(&list(2), &[member(1), Stands::Empty], 2), Start::Join(ClusterId(1)));
    let Start::Refuse(problem) = decided(&list(2), &[Stands::Empty; 2], 1) else { panic!() };
    assert!(problem.contains("1, 3 or 5"), "{problem}");
}

#[test]
fn a_wrong_number_and_another_list_are_named() {
    let peers = list(3);
    let mut answers: BTreeMap<Place, Answer> = [2, 3]
        .map(|place| (Place(place), answer(Place(place), &peers, Stands::Empty).expect("there")))
        .into();
    let shorter = answers.get_mut(&Place(2)).expect("named");
    shorter.peers.remove(&Place(1));
    let Start::Wait(reason) = decide(Place(1), &peers, &answers) else { panic!() };
    assert!(reason.contains("another --peers"), "{reason}");
    answers.get_mut(&Place(2)).expect("named").place = Place(1);
    let Start::Wait(reason) = decide(Place(1), &peers, &answers) else { panic!() };
    assert!(reason.contains("says that it is number 1, not 2"), "{reason}");
}

#[test]
fn a_placement_without_a_leader_is_waited_for() {
    let dead = Stands::Member { of: 1, is_founding: false, knows_leader: false };
    let start = decided(&list(3), &[dead, Stands::Empty, dead], 2);
    let Start::Wait(reason) = start else { panic!("{start:?}") };
    assert!(reason.contains("no leader"), "{reason}");
}
