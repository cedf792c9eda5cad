// For Thrift, in its binary protocol.
namespace cpp thrifty

struct Record {
  1: required list<i64> ids
  2: required list<string> strings
}

struct Scalars {
  1: required double d0
  2: required double d1
  3: required double d2
  4: required double d3
  5: required double d4
  6: required double d5
  7: required double d6
  8: required double d7
  9: required i64 l0
  10: required i64 l1
  11: required i64 l2
  12: required i64 l3
  13: required i64 l4
  14: required i64 l5
  15: required i32 i0
  16: required i32 i1
  17: required i32 i2
  18: required i32 i3
  19: required i32 i4
  20: required i32 i5
}

struct Particle {
  1: required i64 id
  2: required double weight
  3: required list<i32> tags
}

struct Group {
  1: required string name
  2: required double x
  3: required double y
  4: required double z
  5: required list<Particle> particles
}

struct Nested {
  1: required list<Group> groups
}

struct Vector {
  1: required string name
  2: required i64 step
  3: required double time
  4: required list<double> values
}
