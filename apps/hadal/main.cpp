#include <cstdio>

int main() {
  std::puts("hadal");
  return 0;
}
