# For Cap'n Proto. Data of another message or of the user can stand in for a blob alone, so that what
# is left where it is (zero copy) is declared as one.
@0xb2f6a4d0c39e1857;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("cap");

struct Record {
  ids @0 :List(Int64);
  strings @1 :List(Text);
}

struct RecordBlob {
  ids @0 :Data;
  strings @1 :List(Text);
}

struct Scalars {
  d0 @0 :Float64;
  d1 @1 :Float64;
  d2 @2 :Float64;
  d3 @3 :Float64;
  d4 @4 :Float64;
  d5 @5 :Float64;
  d6 @6 :Float64;
  d7 @7 :Float64;
  l0 @8 :Int64;
  l1 @9 :Int64;
  l2 @10 :Int64;
  l3 @11 :Int64;
  l4 @12 :Int64;
  l5 @13 :Int64;
  i0 @14 :Int32;
  i1 @15 :Int32;
  i2 @16 :Int32;
  i3 @17 :Int32;
  i4 @18 :Int32;
  i5 @19 :Int32;
}

struct Particle {
  id @0 :Int64;
  weight @1 :Float64;
  tags @2 :List(Int32);
}

struct Group {
  name @0 :Text;
  x @1 :Float64;
  y @2 :Float64;
  z @3 :Float64;
  particles @4 :List(Particle);
}

struct Nested {
  groups @0 :List(Group);
}

struct Vector {
  name @0 :Text;
  step @1 :Int64;
  time @2 :Float64;
  values @3 :List(Float64);
}

struct VectorBlob {
  name @0 :Text;
  step @1 :Int64;
  time @2 :Float64;
  values @3 :Data;
}
