export async function getServerSideProps({ params }) { return { props: { id: params.id } }; }
export default function Product({ id }) { return `product ${id}`; }
