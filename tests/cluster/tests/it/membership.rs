//! The cluster changes shape under load: nodes join and leave, replicas are replaced. In every test
//! clients see no error and no acknowledged write is lost.

mod shape_of;

mod grow_and_shrink;
mod lost_node;
mod zones;
