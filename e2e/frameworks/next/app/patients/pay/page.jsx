import Counter from "../../counter";

export default function Pay() {
  return <main><h1>Pay</h1><Counter /></main>;
}
